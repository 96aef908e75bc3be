export { NodeHomeBroker } from './home-broker.js';
