import { describe, expect, test } from 'vitest'
import { chooseManner, type Manner, mannerSettings } from '../../../bench/build.ts'

const NONE = new Set<string>()
const BOTH = new Set(['transport', 'workers'])
const NO_WISH = { transport: null, workers: null, usesIoUring: true } as const

describe('transport and number of workers', () => {
  test('default to the best that the build supports', () => {
    expect(chooseManner(NO_WISH, BOTH, 'linux')).toEqual({ ...NO_WISH, transport: 'epoll', workers: 1 })
    expect(chooseManner(NO_WISH, BOTH, 'darwin')).toEqual({ ...NO_WISH, transport: 'node', workers: 1 })
    expect(chooseManner(NO_WISH, NONE, 'linux')).toEqual({ ...NO_WISH, transport: 'node', workers: 1 })
  })

  test('are as requested', () => {
    const [two, one] = [2, 1].map((workers) => ({ transport: 'node', workers, usesIoUring: false }) as const)
    expect(chooseManner(two as Manner, BOTH, 'linux')).toEqual(two)
    expect(chooseManner(one as Manner, NONE, 'linux')).toEqual(one)
  })

  test.each([
    [{ ...NO_WISH, transport: 'epoll' } as const, 'it has no setting named transport'],
    [{ ...NO_WISH, workers: 2 }, 'it has no setting named workers'],
  ])('are refused if the build does not support them: %o', (wishes, sentence) => {
    expect(() => chooseManner(wishes, NONE, 'linux')).toThrow(sentence)
  })

  test('are passed to a build only in settings that it knows', () => {
    const manner = { transport: 'epoll', workers: 2, usesIoUring: true } as const
    expect(mannerSettings(manner, BOTH)).toEqual({ transport: 'epoll', workers: '2' })
    expect(mannerSettings(manner, new Set(['workers']))).toEqual({ workers: '2' })
    expect(mannerSettings(manner, NONE)).toEqual({})
    const without = mannerSettings({ ...manner, usesIoUring: false }, new Set([...BOTH, 'io_uring']))
    expect(without).toEqual({ transport: 'epoll', workers: '2', io_uring: 'off' })
  })
})
