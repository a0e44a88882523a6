/** `npm run bench`: measures pgweir next to PgBouncer and PostgreSQL itself. What the figures mean: docs/performance.md. */

import { readFlags, USAGE } from './flags.ts'
import { lineUp, runBench } from './run.ts'
import { WishError } from './wish-error.ts'

// Ctrl-C ends the benchmark in an orderly way: the programs that it has started end with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

try {
  await main(process.argv.slice(2))
} catch (problem) {
  // Wrong flags are reported in a sentence. Later errors are for developers of the benchmark.
  console.error(problem instanceof WishError ? `${problem.message}\n\n${USAGE}` : problem)
  process.exitCode = 1
}

async function main(args: readonly string[]): Promise<void> {
  const flags = readFlags(args)
  if (flags.asksForHelp) process.stdout.write(USAGE)
  else await runBench(flags, await lineUp(flags))
}
