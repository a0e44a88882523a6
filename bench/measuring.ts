/** `npm run bench:measuring`: what counting and timing cost for each transaction, alone and as a part of what a transaction costs in all. */

import { Counters, Durations } from '../src/pool/counters.ts'

const ROUNDS = 15
const TRANSACTIONS = 2_000_000

/** Less than any run of pgweir has needed for a transaction so far: the smaller, the larger the part that measuring is. */
const CPU_US_PER_TRANSACTION = 20

const counters = new Counters()
const durations = new Durations()
/** Lengths as they come: most short, some long. */
const LENGTHS_MS = Float64Array.from({ length: 1024 }, (_, index) => (index % 50 === 0 ? 12.5 : (index % 17) / 10))

function measure(index: number): void {
  const ms = LENGTHS_MS[index & 1023] as number
  counters.received += 40
  counters.sent += 80
  counters.serverAssignments++
  counters.waitUs += ms * 1000
  durations.wait.note(ms)
  counters.queries++
  counters.queryUs += ms * 1000
  durations.query.note(ms)
  counters.transactions++
  counters.transactionUs += ms * 1000
  durations.transaction.note(ms)
}

/** So that the loop itself is not what is measured. */
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
