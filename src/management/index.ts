export { ManagementServer } from './server.js';
