// Prints how many tests of a vitest report passed, failed and were skipped, and the files in which any failed; on standard error,
// each that failed and why. A file that could not be run counts as one failure.

import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

const report = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'))
let [passed, failed, skipped] = [0, 0, 0]
const failedFiles = []

/** The reason without colours, and of its lines those that say most. */
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
  if (status === 'failed') failedFiles.push(file)
  if (status === 'failed' && failedHere === 0) tell(file, message)
  for (const test of assertionResults) {
    if (test.status === 'failed') tell(`${file}: ${test.fullName}`, test.failureMessages.join('\n'))
  }
  skipped += count('pending', 'skipped', 'todo', 'disabled')
}
console.log(passed, failed, skipped, ...failedFiles)
