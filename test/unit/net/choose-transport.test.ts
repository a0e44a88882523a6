import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { chooseTransport } from '../../../src/net/choose-transport.ts'
import * as epoll from '../../../src/net/epoll/epoll-transport.ts'
import { loadSystemCalls } from '../../../src/net/epoll/syscalls.ts'
import { SETTINGS } from '../../../src/settings/schema.ts'

vi.mock(import('../../../src/net/epoll/epoll-transport.ts'), { spy: true })

describe('if epoll can be used', () => {
  test.each([
    ['auto', 'off', 'epoll', 'the fastest, without io_uring: as configured'],
    ['epoll', 'off', 'epoll', 'as configured, without io_uring: as configured'],
    ['node', 'auto', 'node', 'as configured'],
  ] as const)('transport = %s with io_uring = %s takes %s, because %s', (wanted, ioUring, name, because) => {
    expect(choose(wanted, ioUring)).toEqual([name, because])
  })

  test('io_uring = auto uses io_uring, or says why it does not', () => {
    const [name, because] = choose('auto', 'auto')
    expect(name).toBe('epoll')
    expect(because).toMatch(/^the fastest, with(out)? io_uring(: io_uring_setup E\w+)?$/)
  })
})

describe('if epoll cannot be used', () => {
  test.each([
    ['auto', 'node', 'epoll cannot be used: epoll needs Linux, but this is beos'],
    ['node', 'node', 'as configured'],
  ] as const)('transport = %s takes %s, because %s', (wanted, name, because) => {
    pretend('platform', 'beos')
    expect(choose(wanted)).toEqual([name, because])
  })

  test('transport = epoll is an error that gives the reason', () => {
    pretend('platform', 'beos')
    const sentence = 'transport = epoll cannot be used: epoll needs Linux, but this is beos'
    expect(() => choose('epoll')).toThrow(sentence)
  })

  test('an unsupported processor is named in the error', () => {
    pretend('arch', 'riscv64')
    expect(loadSystemCalls).toThrow('only x64 and arm64 are supported, but this is riscv64')
  })
})

test('the default transport is auto', () => {
  expect(SETTINGS.transport.default).toBe('auto')
})

function choose(transport: 'auto' | 'epoll' | 'node', io_uring: 'auto' | 'off' = 'auto'): [string, string] {
  const { transport: chosen, because } = chooseTransport({ transport, io_uring }, () => {})
  return [chosen.name, because]
}

/** Sets the property and checks it again for each transport, which a poller that other tests of this thread have made would prevent. */
function pretend(property: 'platform' | 'arch', value: string): void {
  const before = Object.getOwnPropertyDescriptor(process, property) as PropertyDescriptor
  Object.defineProperty(process, property, { ...before, value })
  const create = vi.spyOn(epoll, 'createEpollTransport').mockImplementation(() => {
    loadSystemCalls()
    throw new Error('the platform should have been refused')
  })
  onTestFinished(() => {
    Object.defineProperty(process, property, before)
    create.mockRestore()
  })
}
