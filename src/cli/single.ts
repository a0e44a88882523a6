/** The program of the single file (build-single.mjs), in which there is no other to be started: it is pgweir, and each worker of it. */

import { main } from './main.ts'

const given = process.argv.slice(2)
// Whoever starts a program of ours by its path has started this one, and the path is left over.
const isWorker = process.send !== undefined && /[\\/]cli[\\/]worker\.js$/.test(given[0] ?? '')
if (given[0] === process.execPath) given.shift()

if (isWorker) import('./worker.ts')
else
  main(given).then((code) => {
    process.exitCode = code
  })
