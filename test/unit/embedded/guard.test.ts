import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Guarded } from '../../../src/embedded/guard.ts'

test('when its owner releases a program, the program is ended and its directory removed', async () => {
  const { program, directory, isAlive } = await startProgram('echo $$; exec sleep 1000')
  program.release()
  await program.ended
  expect(isAlive()).toBe(false)
  expect(existsSync(directory)).toBe(false)
})

test('a signal is passed on and the exit status is returned', async () => {
  const { program, directory } = await startProgram('trap "exit 7" TERM; echo $$; while :; do sleep 0.01; done')
  program.signal('TERM')
  expect(await program.ended).toBe(7)
  expect(existsSync(directory)).toBe(false)
})

test('a program that ends by itself while its directory is still needed leaves the directory', async () => {
  const { program, directory } = await startProgram('echo $$; exit 3', true)
  expect(await program.ended).toBe(3)
  expect(existsSync(directory)).toBe(true)
})

test('the last 200 lines of the program’s output are kept, from stdout and stderr', async () => {
  const { program } = await startProgram(
    'echo $$; i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "line $i"; done; echo end >&2',
  )
  await program.ended
  expect(program.log).toHaveLength(200)
  expect(program.log.slice(-2)).toEqual(['line 300', 'end'])
})

/** Runs a shell script that first prints its process id. */
async function startProgram(script: string, isDirectoryNeeded = false) {
  const directory = await mkdtemp(join(tmpdir(), 'pgweir-guard-'))
  let onFirstLine = (_: string) => {}
  const firstLine = new Promise<string>((resolve) => {
    onFirstLine = resolve
  })
  const program = new Guarded(['/bin/sh', '-c', script], {
    directory,
    owner: null,
    environment: { PATH: process.env['PATH'] },
    onLine: (line) => onFirstLine(line),
    isDirectoryNeeded: () => isDirectoryNeeded,
  })
  onTestFinished(async () => {
    program.release()
    await program.ended
    await rm(directory, { recursive: true, force: true })
  })
  const processId = Number(await firstLine)
  return { program, directory, isAlive: () => isAlive(processId) }
}

function isAlive(processId: number): boolean {
  try {
    return process.kill(processId, 0)
  } catch {
    return false
  }
}
