// Prints how many tests of a vitest report passed, failed and were skipped, and the files that may be run again. Prints on standard error
// each test that failed, and why. A file that could not be run counts as one failure.

import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

const report = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'))
let [passed, failed, skipped] = [0, 0, 0]
/** The files that may be run again. Null once a failure has shown that another run would prove nothing. */
let unsteady = []

/** If at most this many tests fail, in processes that share few cores, another run may show that the change is not to blame. */
const MOST_UNSTEADY = 3

/** Unit and flow tests depend on nothing but the code. */
const STEADY = /^test\/(?:unit|flow)\//

/** Messages that prove a mistake, whatever another run may show. */
const PROOF = /an invariant failed|internal error/

/** Prints the reason without colors, and only its most telling lines. */
function tell(where, reason) {
  const lines = reason
    .replaceAll(/\u001b\[[0-9;]*m/g, '')
    .split('\n')
    .filter((line) => !line.includes('/node_modules/'))
  console.error([`  ${where}`, ...lines.slice(0, 12).map((line) => `    ${line.slice(0, 400)}`)].join('\n'))
}

for (const { name, status, message, assertionResults } of report.testResults) {
  const file = relative(process.cwd(), name)
  const count = (...states) => assertionResults.filter((test) => states.includes(test.status)).length
  const failedHere = count('failed')
  passed += count('passed')
  failed += status === 'failed' && failedHere === 0 ? 1 : failedHere
  const reasons = [message, ...assertionResults.flatMap(({ failureMessages }) => failureMessages)]
  if (status === 'failed') {
    if (STEADY.test(file) || reasons.some((reason) => PROOF.test(reason ?? ''))) unsteady = null
    unsteady?.push(file)
  }
  if (status === 'failed' && failedHere === 0) tell(file, message)
  for (const test of assertionResults) {
    if (test.status === 'failed') tell(`${file}: ${test.fullName}`, test.failureMessages.join('\n'))
  }
  skipped += count('pending', 'skipped', 'todo', 'disabled')
}
console.log(passed, failed, skipped, ...(failed <= MOST_UNSTEADY ? (unsteady ?? []) : []))
