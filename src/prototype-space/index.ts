export type {
  Credential,
  Endpoint,
  HomeBroker,
  Outlet,
  OutletReader,
  Permits,
  RelayAccess,
  RelayAccessOptions,
} from './home-broker.js';
export { PrototypeSpaces } from './prototype-spaces.js';
