/**
 * The program of the single file (build-single.mjs), which contains no other program to start: it is pgweir itself, each of its workers and each
 * of the processes that ask PAM.
 */

import { main } from './main.ts'

const given = process.argv.slice(2)
// Code that starts one of our programs by its path starts this one instead, with the path left over among the arguments.
const [, other] = (process.send !== undefined && /[\\/]cli[\\/](worker|pam-helper)\.js$/.exec(given[0] ?? '')) || []
if (given[0] === process.execPath) given.shift()

if (other === 'worker') import('./worker.ts')
else if (other === 'pam-helper') import('./pam-helper.ts')
else
  main(given).then((code) => {
    process.exitCode = code
  })
