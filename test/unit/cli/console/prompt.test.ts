import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { complete, type PromptOptions, prompt, splitWatch } from '../../../../src/cli/console/prompt.ts'

test('Tab completes commands and the topics of SHOW', () => {
  expect(complete('rel')).toEqual([['RELOAD'], 'rel'])
  expect(complete('show stats_')).toEqual([['STATS_TOTALS', 'STATS_AVERAGES'], 'stats_'])
  expect(complete('SHOW h')[0]).toEqual(['HELP'])
  expect(complete('nothing')[0]).toEqual([])
})

test('\\watch repeats the command before it', () => {
  expect(splitWatch('show pools')).toEqual(['show pools', null])
  expect(splitWatch('show pools \\watch')).toEqual(['show pools', 2_000])
  expect(splitWatch(' show pools; \\watch 0.5 ')).toEqual(['show pools', 500])
  expect(splitWatch('\\watch')).toEqual(['\\watch', null])
  // Longer than a Node timer can take; it would fire at once.
  expect(splitWatch('show pools \\watch 9999999')).toEqual(['show pools', 2 ** 31 - 1])
})

function prompted(options: Pick<PromptOptions, 'lost'>) {
  const [input, output] = [new PassThrough(), new PassThrough()]
  const streams = { input, output } as unknown as Pick<PromptOptions, 'input' | 'output'>
  const run = async (command: string) => {
    output.write(`ran ${command}\n`)
  }
  return { input, output, ended: prompt({ ...streams, ...options, layout: 'table', run }) }
}

test('\\q ends the prompt', async () => {
  const { input, output, ended } = prompted({ lost: new Promise(() => {}) })
  const shown = text(output)
  input.write('show pools\n\\q\nshow stats\n')
  expect(await ended).toBeNull()
  output.end()
  expect(await shown).toContain('ran show pools')
  expect(await shown).not.toContain('ran show stats')
})

test('when the pooler shuts down, the prompt ends with the reason', async () => {
  expect(await prompted({ lost: Promise.resolve('pooler is shutting down') }).ended).toBe('pooler is shutting down')
})

test('Ctrl-C ends the prompt even while a command is waiting', async () => {
  const [input, output] = [new PassThrough(), Object.assign(new PassThrough(), { isTTY: true, columns: 80 })]
  const streams = { input, output } as unknown as Pick<PromptOptions, 'input' | 'output'>
  let isWaiting = () => {}
  const waits = new Promise<void>((resolve) => {
    isWaiting = resolve
  })
  const run = () => {
    isWaiting()
    return new Promise<void>(() => {})
  }
  const ended = prompt({ ...streams, layout: 'table', run, lost: new Promise(() => {}) })
  input.write('pause\r')
  await waits
  input.write('\u0003')
  expect(await ended).toBeNull()
})
