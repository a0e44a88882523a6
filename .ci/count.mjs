// Prints how many tests of a vitest report passed, failed and were skipped. A file that could not be run counts as one failure.

import { readFileSync } from 'node:fs'

const report = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'))
let [passed, failed, skipped] = [0, 0, 0]
for (const { status, assertionResults } of report.testResults) {
  const count = (...states) => assertionResults.filter((test) => states.includes(test.status)).length
  const failedHere = count('failed')
  passed += count('passed')
  failed += status === 'failed' && failedHere === 0 ? 1 : failedHere
  skipped += count('pending', 'skipped', 'todo', 'disabled')
}
console.log(passed, failed, skipped)
