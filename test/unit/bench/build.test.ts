import { describe, expect, test } from 'vitest'
import { chooseManner, mannerSettings } from '../../../bench/build.ts'

const NONE = new Set<string>()
const BOTH = new Set(['transport', 'workers'])
const NO_WISH = { transport: null, workers: null }

describe('transport and number of workers', () => {
  test('default to the best that the build supports', () => {
    expect(chooseManner(NO_WISH, BOTH, 'linux')).toEqual({ transport: 'epoll', workers: 1 })
    expect(chooseManner(NO_WISH, BOTH, 'darwin')).toEqual({ transport: 'node', workers: 1 })
    expect(chooseManner(NO_WISH, NONE, 'linux')).toEqual({ transport: 'node', workers: 1 })
  })

  test('are as requested', () => {
    expect(chooseManner({ transport: 'node', workers: 2 }, BOTH, 'linux')).toEqual({ transport: 'node', workers: 2 })
    expect(chooseManner({ transport: 'node', workers: 1 }, NONE, 'linux')).toEqual({ transport: 'node', workers: 1 })
  })

  test.each([
    [{ transport: 'epoll', workers: null } as const, 'it has no setting named transport'],
    [{ transport: null, workers: 2 }, 'it has no setting named workers'],
  ])('are refused if the build does not support them: %o', (wishes, sentence) => {
    expect(() => chooseManner(wishes, NONE, 'linux')).toThrow(sentence)
  })

  test('are passed to a build only in settings that it knows', () => {
    const manner = { transport: 'epoll', workers: 2 } as const
    expect(mannerSettings(manner, BOTH)).toEqual({ transport: 'epoll', workers: '2' })
    expect(mannerSettings(manner, new Set(['workers']))).toEqual({ workers: '2' })
    expect(mannerSettings(manner, NONE)).toEqual({})
  })
})
