/** Scenarios that transfer a gigabyte as fast as possible. */

import { TO_BASELINE, TO_DIRECT, TO_PGBOUNCER } from './load.ts'
import { growthDuring } from './memory.ts'
import { SINK } from './postgres.ts'
import { cpuTimeOf } from './process-figures.ts'
import type { Effort, Figures, Scenario } from './scenario.ts'
import { WireClient } from './wire-client.ts'

const ROW_BYTES = 1_000
/** The size of a row on the wire, with its line feed and the five bytes of the message header. */
const MESSAGE_BYTES = ROW_BYTES + 6
const ROWS_PER_WRITE = 64

const ROW = Buffer.alloc(ROW_BYTES, 'x')

const ABOUT = `1 GiB (256 MiB with --quick) in rows of ${ROW_BYTES} bytes`

function rowsFor({ isQuick }: Effort): number {
  return Math.round(((isQuick ? 256 : 1_024) * 1024 * 1024) / MESSAGE_BYTES)
}

function copyScenario(
  name: string,
  about: string,
  copy: (client: WireClient, rows: number) => Promise<void>,
): Scenario {
  return {
    name,
    about: `${about}, ${ABOUT}`,
    needsPgbench: false,
    login: 'trust',
    encryption: 'none',
    targets: ['direct', 'baseline', 'pgweir', 'pgbouncer'],
    settings: {},
    startsFresh: false,
    isExtra: false,
    isGuarded: false,
    columns: [
      { title: 'MiB/s', figure: 'mibPerSecond', digits: 0 },
      { title: '× direct', figure: 'mibPerSecond', digits: 2, against: TO_DIRECT },
      { title: '× PgBouncer', figure: 'mibPerSecond', digits: 2, against: TO_PGBOUNCER },
      { title: 'CPU ms/MiB', figure: 'cpuMsPerMib', digits: 2 },
      { title: '× PgBouncer', figure: 'cpuMsPerMib', digits: 2, against: TO_PGBOUNCER },
      { title: '× baseline', figure: 'cpuMsPerMib', digits: 2, against: TO_BASELINE },
      { title: 'growth MiB', figure: 'growthMib', digits: 1 },
    ],
    goals: [
      {
        sentence: "throughput of a COPY, in times of PgBouncer's",
        figure: 'mibPerSecond',
        against: TO_PGBOUNCER,
        bound: 'at least',
        limits: { epoll: 0.9, node: 0.7 },
      },
    ],
    notes: () => [],
    repeats: ({ repeats }) => repeats,

    async warmUp({ place }) {
      const client = await WireClient.login(place)
      await copy(client, 10_000)
      await client.leave()
    },

    async measure({ place, pid }, { effort }): Promise<Figures> {
      const rows = rowsFor(effort)
      const mib = (rows * MESSAGE_BYTES) / (1024 * 1024)
      const client = await WireClient.login(place)
      const cpuBefore = pid === null ? null : cpuTimeOf(pid)
      const startedMs = performance.now()
      const copying = copy(client, rows)
      const growthMib = pid === null ? null : await growthDuring(pid, copying)
      await copying
      const seconds = (performance.now() - startedMs) / 1000
      const figures = { mib, mibPerSecond: mib / seconds }
      const cpuAfter = pid === null ? null : cpuTimeOf(pid)
      await client.leave()
      if (growthMib === null || !cpuBefore || !cpuAfter) return figures
      const cpuMs = cpuAfter.userMs - cpuBefore.userMs + cpuAfter.systemMs - cpuBefore.systemMs
      return { ...figures, growthMib, cpuMsPerMib: cpuMs / mib }
    },
  }
}

export const COPY_OUT = copyScenario('copy-out', 'COPY … TO STDOUT', async (client, rows) => {
  const before = client.receivedBytes
  await client.query(`copy (select repeat('x', ${ROW_BYTES}) from generate_series(1, ${rows})) to stdout`)
  const received = client.receivedBytes - before
  if (received < rows * MESSAGE_BYTES) throw new Error(`only ${received} bytes came of ${rows} rows`)
})

/** PostgreSQL reads every row and stores none, so that the disk plays no part. */
export const COPY_IN = copyScenario('copy-in', 'COPY … FROM STDIN', async (client, rows) => {
  const writes = Math.ceil(rows / ROWS_PER_WRITE)
  await client.copyIn(`copy ${SINK} from stdin where false`, copyMessages(ROWS_PER_WRITE), writes)
})

/** Returns `rows` rows, each in a message of its own, as most clients send them. */
function copyMessages(rows: number): Buffer {
  const message = Buffer.concat([Buffer.from('d\0\0\0\0'), ROW, Buffer.from('\n')])
  message.writeInt32BE(message.length - 1, 1)
  return Buffer.concat(Array.from({ length: rows }, () => message))
}
