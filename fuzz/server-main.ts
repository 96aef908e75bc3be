/** The process of a fuzzed server. What nobody catches ends it, as it would end a node. */
import { startServer } from './server.js';
import type { FromServer, ToServer } from './server-process.js';

const server = await startServer(process.argv[2] ?? '');
process.on('message', async (question: ToServer) => tell({ status: await server.status(question) }));
process.on('disconnect', () => process.exit());
tell({ port: server.port });

function tell(message: FromServer): void {
  process.send?.(message);
}
