/** `npm run bench`: measures pgweir next to PgBouncer and PostgreSQL itself. What the figures mean: docs/performance.md. */

import { type Flags, readFlags, USAGE } from './flags.ts'
import { runBench } from './run.ts'

// An end by Ctrl-C is an end like any other: what was started goes with us.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

const flags = flagsOrNull()
if (flags?.asksForHelp) process.stdout.write(USAGE)
else if (flags) await runBench(flags)

function flagsOrNull(): Flags | null {
  try {
    return readFlags(process.argv.slice(2))
  } catch (problem) {
    console.error(`${problem instanceof Error ? problem.message : problem}\n\n${USAGE}`)
    process.exitCode = 1
    return null
  }
}
