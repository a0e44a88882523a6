/** `npm run bench`: measures pgweir next to PgBouncer and PostgreSQL itself. What the figures mean: docs/performance.md. */

import { readFlags, USAGE } from './flags.ts'
import { lineUp, runBench } from './run.ts'
import { WishError } from './wish-error.ts'

// An end by Ctrl-C is an end like any other: what was started goes with us.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

try {
  await main(process.argv.slice(2))
} catch (problem) {
  // What is wrong with the wishes is told in a sentence; what goes wrong later is for whoever mends the benchmark.
  console.error(problem instanceof WishError ? `${problem.message}\n\n${USAGE}` : problem)
  process.exitCode = 1
}

async function main(args: readonly string[]): Promise<void> {
  const flags = readFlags(args)
  if (flags.asksForHelp) process.stdout.write(USAGE)
  else await runBench(flags, await lineUp(flags))
}
