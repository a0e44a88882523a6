// Starts the demo as a newcomer does, runs a query through it, presses Ctrl-C, and checks that nothing is left behind.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import pg from 'pg'
import { freePort } from './free-port.mjs'

const READY_MS = 120_000
const END_MS = 30_000

function within(milliseconds, what, promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${milliseconds / 1000} s`)), milliseconds)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Resolves with the match once the pattern has been printed. */
function printed(demo, pattern) {
  let text = ''
  return new Promise((resolve, reject) => {
    demo.stdout.on('data', (chunk) => {
      process.stdout.write(chunk)
      text += chunk
      if (pattern.test(text)) resolve(text)
    })
    demo.on('exit', (code) => reject(new Error(`npm start ended with ${code} before it was ready`)))
  })
}

const port = await freePort()
const args = ['start', '--', 'demo', '--listen-port', String(port)]
// In a process group of its own, since Ctrl-C in a terminal is for the whole group.
const demo = spawn('npm', args, { detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
const ended = once(demo, 'exit')
try {
  const text = await within(READY_MS, 'npm start', printed(demo, /Press Ctrl-C to stop/))
  const url = /DATABASE_URL="([^"]+)"/.exec(text)?.[1]
  const directory = /in (\S+)\/data$/m.exec(text)?.[1]
  if (!url?.includes(`:${port}/`) || !directory || !existsSync(directory))
    throw new Error('what npm start printed does not name its port and its data')
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query('select 40 + 2 as answer')
  await client.end()
  if (rows[0].answer !== 42) throw new Error(`the answer was ${rows[0].answer}`)

  process.kill(-demo.pid, 'SIGINT')
  const [code, signal] = await within(END_MS, 'the end after Ctrl-C', ended)
  if (code !== 0) throw new Error(`npm start ended with ${code ?? signal} after Ctrl-C`)
  if (existsSync(directory)) throw new Error(`${directory} was left behind`)
  console.log('npm start served a query, and left nothing behind')
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  if (demo.exitCode === null && demo.signalCode === null) process.kill(-demo.pid, 'SIGKILL')
}
