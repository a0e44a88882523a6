/**
 * `npm run bench:measuring`: what counting and timing cost for each transaction, in absolute terms and as a share of the whole cost of a
 * transaction.
 */

import { SystemClock } from '../src/base/clock.ts'
import { Counters, Durations } from '../src/pool/counters.ts'

const ROUNDS = 15
const TRANSACTIONS = 2_000_000

/** Less than any run of pgweir has needed for a transaction so far. The smaller this is, the larger the share of measuring. */
const CPU_US_PER_TRANSACTION = 10

const clock = new SystemClock()
const counters = new Counters()
const durations = new Durations()
/** Realistic durations: most of them short, some long. */
const LENGTHS_MS = Float64Array.from({ length: 1024 }, (_, index) => (index % 50 === 0 ? 12.5 : (index % 17) / 10))

function measure(index: number): void {
  const ms = LENGTHS_MS[index & 1023] as number
  // For what comes from the client, and for what comes from the server. Where several events wait together, one time serves for all of them.
  clock.refresh()
  clock.refresh()
  counters.received += 40
  counters.sent += 80
  counters.serverAssignments++
  counters.waitUs += ms * 1000
  durations.wait.note(ms)
  counters.queries++
  counters.queryUs += ms * 1000
  durations.query.note(ms)
  durations.response.note(ms)
  counters.transactions++
  counters.transactionUs += ms * 1000
  durations.transaction.note(ms)
}

/** The cost of `nothing` is subtracted, so that the loop itself is not measured. */
let sum = 0
function nothing(index: number): void {
  sum += LENGTHS_MS[index & 1023] as number
}

function nanosecondsOf(work: (index: number) => void): number {
  const began = process.hrtime.bigint()
  for (let index = 0; index < TRANSACTIONS; index++) work(index)
  return Number(process.hrtime.bigint() - began) / TRANSACTIONS
}

const costs: number[] = []
for (let round = 0; round < ROUNDS; round++) costs.push(nanosecondsOf(measure) - nanosecondsOf(nothing))
costs.sort((one, other) => one - other)
const median = costs[ROUNDS >> 1] as number
const part = (100 * median) / (CPU_US_PER_TRANSACTION * 1000)
console.log(`counting and timing: ${median.toFixed(0)} ns for each transaction (median of ${ROUNDS} rounds)`)
console.log(`of ${CPU_US_PER_TRANSACTION} µs: ${part.toFixed(2)} %; at most 3 % is the goal`)
process.exitCode = part <= 3 && Number.isFinite(sum) ? 0 : 1
