/** SHOW WORKERS. */

import type { WorkerSnapshot } from '../../workers/fleet.ts'
import { moment, topic } from './topic.ts'

export const workers = topic<WorkerSnapshot>({
  help: 'The processes that serve clients. Not in PgBouncer.',
  asksNoWorker: true,
  rows: async ({ fleet }) => [...(await fleet.workers())].sort((one, other) => one.number - other.number),
  columns: [
    [
      'worker',
      'int4',
      'number of the worker, which is the lowest byte of the ids of its clients and servers; 0 if there is only one process',
      ({ number }) => number,
    ],
    ['pid', 'int4', 'process ID', ({ pid }) => pid],
    [
      'state',
      'text',
      '`starting`, `serving`, `draining`, `stopping`, or `silent` if the worker seems to hang; data from silent workers is missing in other tables',
      ({ state }) => state,
    ],
    ['start_time', 'text', 'when the process was started', ({ startedAt }) => moment(startedAt)],
    ['clients', 'int4', 'connections from clients, including those that are logging in', ({ clients }) => clients],
    ['servers', 'int4', 'connections to servers', ({ servers }) => servers],
    ['cpu_ms', 'int8', 'CPU time used, in milliseconds', ({ cpuUs }) => Math.floor(cpuUs / 1000)],
    ['memory_kib', 'int8', 'resident memory in KiB', ({ residentBytes }) => Math.floor(residentBytes / 1024)],
    [
      'loop_delay_us',
      'int8',
      'longest delay of the event loop in the last 1 to 2 seconds, in microseconds',
      ({ delayUs }) => delayUs,
    ],
    [
      'restarts',
      'int4',
      'how often a worker in this place crashed or hung and was replaced',
      ({ restarts }) => restarts,
    ],
  ],
})
