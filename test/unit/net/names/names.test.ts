import { expect, test } from 'vitest'
import { ManualClock } from '../../../../src/base/clock.ts'
import { type Answer, type Found, Names } from '../../../../src/net/names/names.ts'

const MAX_AGE_MS = 15_000
const MAX_FAILURE_AGE_MS = 7_000

/** Names of a system that answers when the test says so. */
function start() {
  const clock = new ManualClock()
  const questions: { readonly host: string; answer(answer: Answer): void; fail(code: string): void }[] = []
  const moved: [string, readonly string[]][] = []
  const names = new Names({
    clock,
    lookUp: (host) =>
      new Promise((resolve, reject) => {
        questions.push({ host, answer: resolve, fail: (code) => reject(Object.assign(new Error(code), { code })) })
      }),
    maxAgeMs: () => MAX_AGE_MS,
    maxFailureAgeMs: () => MAX_FAILURE_AGE_MS,
    onMoved: (host, addresses) => moved.push([host, [...addresses]]),
  })
  const asked: Found[] = []
  return {
    ...{ clock, names, moved, asked, questions },
    find: (host = 'db') => names.find(host, (found) => asked.push(found)),
    async answer(addresses: readonly string[], lifetimeMs: number | null = null) {
      questions.shift()?.answer({ addresses, lifetimeMs: Promise.resolve(lifetimeMs) })
      await settled()
    },
    async fail(code = 'ENOTFOUND') {
      questions.shift()?.fail(code)
      await settled()
    },
    took: () => asked.splice(0).map((found) => (found instanceof Error ? found.message : found.join(' '))),
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('a host is looked up once, however many ask for it', async () => {
  const { find, answer, questions, took } = start()
  find()
  find()
  expect(questions).toHaveLength(1)
  await answer(['10.0.0.1'])
  expect(took()).toEqual(['10.0.0.1', '10.0.0.1'])
})

test('a known host is answered at once', async () => {
  const { find, answer, questions, took } = start()
  find()
  await answer(['10.0.0.1'])
  took()
  find()
  expect(took()).toEqual(['10.0.0.1'])
  expect(questions).toHaveLength(0)
})

test('each answer begins with the next address', async () => {
  const { find, answer, took } = start()
  find()
  await answer(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
  find()
  find()
  find()
  expect(took().map((found) => found.split(' ')[0])).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.1'])
})

test('an asker that cancels gets no answer', async () => {
  const { find, answer, took } = start()
  find()()
  await answer(['10.0.0.1'])
  expect(took()).toEqual([])
})

test('an answer is used for dns_max_ttl', async () => {
  const { clock, find, answer, questions } = start()
  find()
  await answer(['10.0.0.1'])
  clock.advance(MAX_AGE_MS - 1)
  find()
  expect(questions).toHaveLength(0)
  clock.advance(1)
  find()
  expect(questions).toHaveLength(1)
})

test('an answer is used for a shorter time if the name server says so', async () => {
  const { clock, find, answer, questions } = start()
  find()
  await answer(['10.0.0.1'], 2_000)
  clock.advance(2_000)
  find()
  expect(questions).toHaveLength(1)
})

test('an answer is not used for longer than dns_max_ttl, whatever the name server says', async () => {
  const { clock, find, answer, questions } = start()
  find()
  await answer(['10.0.0.1'], 3_600_000)
  clock.advance(MAX_AGE_MS)
  find()
  expect(questions).toHaveLength(1)
})

test('a host that does not exist is not looked up again for dns_nxdomain_ttl', async () => {
  const { clock, find, fail, questions, took } = start()
  find()
  await fail()
  find()
  expect(took()).toEqual(['ENOTFOUND', 'ENOTFOUND'])
  clock.advance(MAX_FAILURE_AGE_MS)
  find()
  expect(questions).toHaveLength(1)
})

test('if a lookup fails, the known addresses stay in use', async () => {
  const { clock, find, answer, fail, took } = start()
  find()
  await answer(['10.0.0.1'])
  clock.advance(MAX_AGE_MS)
  find()
  await fail('EAI_AGAIN')
  expect(took()).toEqual(['10.0.0.1', '10.0.0.1'])
})

test('if a host no longer exists, its known addresses are not used', async () => {
  const { clock, find, answer, fail, took } = start()
  find()
  await answer(['10.0.0.1'])
  clock.advance(MAX_AGE_MS)
  find()
  await fail('ENOTFOUND')
  expect(took()).toEqual(['10.0.0.1', 'ENOTFOUND'])
})

test('after doubt() a host is looked up again', async () => {
  const { names, find, answer, questions } = start()
  find()
  await answer(['10.0.0.1'])
  names.doubt()
  find()
  expect(questions).toHaveLength(1)
})

test('an answer to a lookup from before doubt() is not kept, because it may be outdated', async () => {
  const { names, find, answer, questions, took } = start()
  find()
  names.doubt()
  await answer(['10.0.0.1'])
  find()
  expect(questions).toHaveLength(1)
  await answer(['10.0.0.2'])
  find()
  expect(questions).toHaveLength(0)
  expect(took()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.2'])
})

test('a host with servers is looked up again when its answer has expired, and new addresses are reported', async () => {
  const { clock, names, find, answer, moved, questions } = start()
  find()
  await answer(['10.0.0.1'])
  const inUse = () => new Set(['db'])
  names.sweep(inUse)
  expect(questions).toHaveLength(0)
  clock.advance(MAX_AGE_MS)
  names.sweep(inUse)
  expect(questions).toHaveLength(1)
  await answer(['10.0.0.2'])
  expect(moved).toEqual([['db', ['10.0.0.2']]])
})

test('a host without servers is forgotten when its answer has expired', async () => {
  const { clock, names, find, answer } = start()
  find()
  await answer(['10.0.0.1'])
  clock.advance(MAX_AGE_MS - 5_000)
  names.sweep(() => new Set())
  expect(names.snapshot()).toEqual([{ host: 'db', addresses: ['10.0.0.1'], ttlMs: 5_000, isAsked: false }])
  clock.advance(5_000)
  names.sweep(() => new Set())
  expect(names.snapshot()).toEqual([])
})
