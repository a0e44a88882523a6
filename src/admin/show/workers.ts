/** SHOW WORKERS. */

import type { WorkerSnapshot } from '../../workers/fleet.ts'
import { moment, topic } from './topic.ts'

export const workers = topic<WorkerSnapshot>({
  help: 'The processes that serve clients. PgBouncer has no such table.',
  asksNoWorker: true,
  rows: async ({ fleet }) => [...(await fleet.workers())].sort((one, other) => one.number - other.number),
  columns: [
    [
      'worker',
      'int4',
      'its number: the lowest byte of the ids of its clients and servers; 0 where there is one process',
      ({ number }) => number,
    ],
    ['pid', 'int4', 'its process', ({ pid }) => pid],
    [
      'state',
      'text',
      'starting, serving, draining or stopping; silent where it seems to hang, and what it knows is missing in other tables',
      ({ state }) => state,
    ],
    ['start_time', 'text', 'when it was started', ({ startedAt }) => moment(startedAt)],
    ['clients', 'int4', 'connections of clients, those that are logging in included', ({ clients }) => clients],
    ['servers', 'int4', 'connections to servers', ({ servers }) => servers],
    ['cpu_ms', 'int8', 'milliseconds of CPU time that it has used', ({ cpuUs }) => Math.floor(cpuUs / 1000)],
    ['memory_kib', 'int8', 'resident memory in KiB', ({ residentBytes }) => Math.floor(residentBytes / 1024)],
    [
      'loop_delay_us',
      'int8',
      'the longest that its event loop was late in the last second, in microseconds',
      ({ delayUs }) => delayUs,
    ],
    [
      'restarts',
      'int4',
      'how often workers in its place had crashed or hung and were replaced',
      ({ restarts }) => restarts,
    ],
  ],
})
