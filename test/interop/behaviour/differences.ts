/**
 * Where a node does on purpose not do what RabbitMQ 3.10 does, each with its reason. A test that meets one asks
 * `server.expected` for it by name, and says what each of the two does.
 */
export const differences = {
  'AMQP 0-8': 'A node speaks 0-9-1, and 0-9 under its older header; no client of 0-8 is left to be served.',
  'reasons before connection.open':
    'RabbitMQ ends the connection after three seconds and tells nobody but its log; a node says why with connection.close, as the specification asks.',
  'no limit of the client':
    'AMQP 0-9-1 §1.4.2.6: zero in tune-ok means that the client sets no limit, so the offer of the server holds; RabbitMQ refuses it.',
  'queue types':
    'A node has classic queues only, and says so; quorum queues and streams are made of several brokers.',
  'bodies longer than announced': 'RabbitMQ waits for their end for ever; a node closes the connection.',
  'malformed properties':
    'RabbitMQ fails over them, 541; a node says what is wrong with the syntax that the specification names for it, 502.',
  'large bodies':
    'RabbitMQ takes 128 MiB. A node is meant to run beside other programs and takes 16 MiB unless told otherwise, then 311.',
  'unknown methods': 'RabbitMQ fails and drops the connection; a node closes it with the reason.',
} as const satisfies Record<string, string>;

export type DifferenceName = keyof typeof differences;
