/** Where the store tells what whoever runs the node should know. */
export interface StoreLogger {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}
