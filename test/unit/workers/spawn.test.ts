/** The process of a worker, and connections that are handed over to it. */

import { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { listenForSockets } from '../../../src/net/node-transport.ts'
import { optionsForWorkers, SpawnedWorker } from '../../../src/workers/spawn.ts'
import { isInstalled } from '../../support/installed.ts'
import { LOOPBACK, until } from '../net/rigs.ts'

/** A program that has no free descriptor until it has failed to receive the first connection. */
const SHORT_OF_DESCRIPTORS = `
  import { execFileSync } from 'node:child_process'
  import { closeSync, openSync, readdirSync } from 'node:fs'

  const most = Math.max(...readdirSync('/proc/self/fd').map(Number)) + 4
  execFileSync('prlimit', ['--pid', String(process.pid), \`--nofile=\${most}:\`])
  const taken = []
  try {
    for (;;) taken.push(openSync('/dev/null'))
  } catch {}
  process.on('internalMessage', (message, handle) => {
    if (message.cmd === 'NODE_HANDLE' && !handle) for (const descriptor of taken.splice(0)) closeSync(descriptor)
  })
  process.on('message', (message, handle) => process.send({ got: message, isConnection: handle !== undefined }))
  process.send({ isFull: true })
`

function program(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-spawn-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'program.mjs')
  writeFileSync(path, text)
  return path
}

test.runIf(isInstalled('prlimit'))(
  'if a worker has no free descriptor, the connection handed over to it is closed and later ones arrive',
  async () => {
    const said: unknown[] = []
    const ends: string[] = []
    const worker = new SpawnedWorker(
      { program: program(SHORT_OF_DESCRIPTORS), descriptors: [] },
      { onMessage: (message) => said.push(message), onConnected: () => {}, onExit: (how) => ends.push(how) },
    )
    onTestFinished(() => worker.kill('SIGKILL'))
    await until('the process has no free descriptor', () => said.length === 1)
    let count = 0
    const listener = await listenForSockets(LOOPBACK, (socket) => worker.handOver({ count: ++count }, socket))
    onTestFinished(() => listener.close())
    const connect = () => {
      const socket = net.connect(listener.address)
      onTestFinished(() => void socket.destroy())
      return socket.resume()
    }
    const [first, second] = [connect(), connect()]
    await once(first, 'close')
    await until('the second connection has arrived', () => said.length === 2)
    expect(said[1]).toEqual({ got: { count: 2 }, isConnection: true })
    expect(second.destroyed).toBe(false)
    expect(ends).toEqual([])
  },
)

test('kill does nothing if the process was never started, because without a pid the signal would reach the whole process group', async () => {
  const { execPath } = process
  process.execPath = join(tmpdir(), 'no such program')
  const kill = vi.spyOn(ChildProcess.prototype, 'kill').mockReturnValue(true)
  onTestFinished(() => {
    process.execPath = execPath
    kill.mockRestore()
  })
  const ends: string[] = []
  const worker = new SpawnedWorker(
    { program: 'none', descriptors: [] },
    { onMessage: () => {}, onConnected: () => {}, onExit: (how) => ends.push(how) },
  )
  worker.kill('SIGKILL')
  expect(kill).not.toHaveBeenCalled()
  await until('the exit is reported', () => ends.length === 1)
  expect(ends[0]).toContain('ENOENT')
})

test.each([
  [[], []],
  [['--max-old-space-size=100', '--require=x'], ['--max-old-space-size=100']],
  [
    ['--require', 'x', '--cpu-prof', '--cpu-prof-interval', '200'],
    ['--cpu-prof', '--cpu-prof-interval', '200'],
  ],
  [['--no-warnings', '-r', 'x', '--eval', 'y'], ['--no-warnings']],
])('of the options %j of node, workers have %j', (options, expected) => {
  expect(optionsForWorkers(options)).toEqual(expected)
})
