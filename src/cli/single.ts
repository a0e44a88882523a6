/** The program of the single file (build-single.mjs), which contains no other program to start: it is pgweir itself and each of its workers. */

import { main } from './main.ts'

const given = process.argv.slice(2)
// Code that starts one of our programs by its path starts this one instead, with the path left over among the arguments.
const isWorker = process.send !== undefined && /[\\/]cli[\\/]worker\.js$/.test(given[0] ?? '')
if (given[0] === process.execPath) given.shift()

if (isWorker) import('./worker.ts')
else
  main(given).then((code) => {
    process.exitCode = code
  })
