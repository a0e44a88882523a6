import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import {
  type FrameSink,
  Frames,
  HEADER_BYTES,
  needsTable,
  PASSES,
  type Refusal,
  UNKNOWN,
  WHOLE,
} from '../../../src/wire/frames.ts'
import { rawFrame, someSizes } from '../../support/random-frames.ts'
import { cutInSizes, everySplit, readShared, showSplit } from '../../support/splits.ts'

/** What the sink received: consecutive passed bytes are one event, and so are the pieces of one frame. */
type Event =
  | { readonly passed: string }
  | { readonly frame: number; readonly length: number; readonly bytes: string }
  | { readonly refused: number; readonly length: number; readonly why: Refusal }

/** How the sink receives one frame: it demands more of it in steps, then declines it this many times before it takes it. */
interface Mood {
  readonly demands: readonly number[]
  readonly refusals: number
}

const EAGER: Mood = { demands: [], refusals: 0 }

/** Records what it receives, and checks that each call keeps the contract of `FrameSink`. */
class Recorder implements FrameSink {
  readonly events: Event[] = []
  hasRefused = false
  readonly #frames: Frames
  readonly #needs: Int32Array
  readonly #moods: readonly Mood[]
  #taken = 0
  #saidNo = 0
  #shown = 0
  #left = 0

  constructor(frames: Frames, needs: Int32Array, moods: readonly Mood[] = []) {
    this.#frames = frames
    this.#needs = needs
    this.#moods = moods
  }

  pass(buffer: Buffer, start: number, end: number): void {
    expect(this.#left, 'a frame must be complete before other frames pass').toBe(0)
    expect(end).toBeGreaterThan(start)
    const passed = buffer.toString('latin1', start, end)
    const last = this.events.at(-1)
    if (last && 'passed' in last) this.events.splice(-1, 1, { passed: last.passed + passed })
    else this.events.push({ passed })
  }

  frame(type: number, buffer: Buffer, start: number, end: number, length: number): boolean {
    const have = end - start
    expect(this.#left, 'a frame must be complete before the next one begins').toBe(0)
    expect(buffer[start]).toBe(type)
    expect(buffer.readInt32BE(start + 1) + 1).toBe(length)
    expect(have).toBeGreaterThanOrEqual(Math.min(Math.max(this.#needs[type] as number, this.#shown), length))
    expect(have).toBeLessThanOrEqual(length)

    const mood = this.#moods[this.#taken] ?? EAGER
    const demand = mood.demands.find((bytes) => have < Math.min(bytes, length))
    if (demand !== undefined) {
      this.#shown = demand
      this.#frames.demand(demand)
      return false
    }
    if (this.#saidNo < mood.refusals) {
      this.#saidNo++
      this.hasRefused = true
      this.#shown = 0
      return false
    }
    this.events.push({ frame: type, length, bytes: buffer.toString('latin1', start, end) })
    this.#taken++
    this.#saidNo = 0
    this.#shown = 0
    this.#left = length - have
    return true
  }

  rest(type: number, buffer: Buffer, start: number, end: number, isLast: boolean): void {
    const last = this.events.pop()
    if (!last || !('frame' in last)) throw new Error('rest() was called without a frame')
    expect(type).toBe(last.frame)
    expect(end).toBeGreaterThan(start)
    this.#left -= end - start
    expect(isLast, 'isLast must be true for the last piece only').toBe(this.#left === 0)
    this.events.push({ ...last, bytes: last.bytes + buffer.toString('latin1', start, end) })
  }

  refuse(type: number, length: number, why: Refusal): void {
    this.events.push({ refused: type, length, why })
  }

  get isRefused(): boolean {
    const last = this.events.at(-1)
    return last !== undefined && 'refused' in last
  }
}

/** Computes the same events in the simplest way: all bytes in one buffer, cut in a loop. */
function cutNaively(bytes: Buffer, needs: Int32Array, limit: number, moods: readonly Mood[] = []) {
  const events: Event[] = []
  let taken = 0
  let passed = ''
  let at = 0
  let end: 'boundary' | 'mid-frame' | 'stashed' | 'refused' = 'boundary'
  const settle = () => {
    if (passed !== '') events.push({ passed })
    passed = ''
  }
  while (at < bytes.length && end === 'boundary') {
    const there = bytes.length - at
    if (there < HEADER_BYTES) {
      end = 'stashed'
      break
    }
    const type = bytes[at] as number
    const length = bytes.readInt32BE(at + 1) + 1
    const need = needs[type] as number
    const why =
      need === UNKNOWN ? 'unknown' : length < HEADER_BYTES ? 'length' : length > limit ? 'too-large' : undefined
    if (why) {
      settle()
      events.push({ refused: type, length, why })
      end = 'refused'
      break
    }
    const frame = bytes.toString('latin1', at, at + length)
    if (need === PASSES) passed += frame
    else {
      const wanted = Math.max(need, ...(moods[taken]?.demands ?? []))
      if (there < Math.min(wanted, length)) {
        end = 'stashed'
        break
      }
      settle()
      events.push({ frame: type, length, bytes: frame })
      taken++
    }
    if (there < length) end = 'mid-frame'
    at += length
  }
  settle()
  return { events, end }
}

/** Feeds the pieces as a channel would. What the sink declined is fed again, in the same pieces or in smaller ones. */
function feed(frames: Frames, pieces: readonly Buffer[], needs: Int32Array, sink: Recorder): void {
  const waiting = [...pieces]
  for (let again = 0; waiting.length > 0; again++) {
    sink.hasRefused = false
    const piece = waiting.shift() as Buffer
    const read = readShared(piece, (buffer, start, end) => frames.read(buffer, start, end, needs, sink) - start)
    if (sink.isRefused) return
    expect(read < piece.length, 'bytes are left exactly if the sink declined a frame').toBe(sink.hasRefused)
    const rest = piece.subarray(read)
    if (rest.length > 0) waiting.unshift(...(again % 2 === 0 ? [rest] : cutInSizes(rest, [3, 5, 1])))
  }
}

const LIMIT = 90
/** Few types, so that frames of the same type follow each other. */
const TYPES = [...Buffer.from('abcdef')]

const someNeeds = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constant(PASSES) },
      { weight: 3, arbitrary: fc.constant(WHOLE) },
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 30 }) },
    ),
    { minLength: TYPES.length - 1, maxLength: TYPES.length - 1 },
  )
  .map((needs) =>
    needsTable(Object.fromEntries(needs.map((need, at) => [String.fromCharCode(TYPES[at] as number), need]))),
  )

const someBody = fc.oneof(
  fc.uint8Array({ maxLength: 12 }),
  fc.uint8Array({ minLength: LIMIT - HEADER_BYTES - 2, maxLength: LIMIT - HEADER_BYTES }),
)
const goodFrame = fc
  .tuple(fc.constantFrom(...TYPES.slice(0, -1)), someBody)
  .map(([type, body]) => rawFrame(type, Buffer.from(body)))
/** Unknown types (the last of TYPES is in no table), lengths that are too small, and lengths that are too large. */
const badFrame = fc.oneof(
  fc.constantFrom(TYPES.at(-1) as number, 0, 255).map((type) => rawFrame(type, Buffer.from('body'))),
  fc
    .tuple(fc.constantFrom(...TYPES), fc.constantFrom(-0x8000_0000, -2, -1, 0, 1, 3, LIMIT, LIMIT + 1, 0x7fff_ffff))
    .map(([type, claimed]) => rawFrame(type, Buffer.alloc(20), claimed)),
)

/** Good frames, sometimes with a bad one among them, and sometimes cut off in the middle of one. */
const someStream = fc
  .tuple(
    fc.array(goodFrame, { maxLength: 12 }),
    fc.option(badFrame, { freq: 4 }),
    fc.array(goodFrame, { maxLength: 3 }),
    fc.option(fc.nat(100), { freq: 2 }),
  )
  .map(([before, bad, after, lost]) => {
    const bytes = Buffer.concat([...before, ...(bad ? [bad] : []), ...after])
    return bytes.subarray(0, Math.max(0, bytes.length - (lost ?? 0)))
  })

const someMoods = fc.array(
  fc.record({
    demands: fc.array(fc.oneof(fc.integer({ min: 1, max: LIMIT }), fc.constant(WHOLE)), { maxLength: 2 }),
    refusals: fc.nat(2),
  }),
  { maxLength: 8 },
)

test('however the bytes are cut, the sink receives the same events as from a loop over all of them', () => {
  fc.assert(
    fc.property(someStream, someNeeds, someSizes, (bytes, needs, sizes) => {
      const frames = new Frames(LIMIT)
      const sink = new Recorder(frames, needs)
      feed(frames, cutInSizes(bytes, sizes), needs, sink)
      const naive = cutNaively(bytes, needs, LIMIT)
      expect(sink.events).toEqual(naive.events)
      if (naive.end === 'refused') return
      expect(frames.isAtBoundary).toBe(naive.end === 'boundary')
      expect(frames.isMidFrame).toBe(naive.end === 'mid-frame')
    }),
    { numRuns: 400 },
  )
})

test('a sink that declines frames or demands more of them misses nothing and receives nothing twice', () => {
  fc.assert(
    fc.property(someStream, someNeeds, someSizes, someMoods, (bytes, needs, sizes, moods) => {
      const frames = new Frames(LIMIT)
      const sink = new Recorder(frames, needs, moods)
      feed(frames, cutInSizes(bytes, sizes), needs, sink)
      const naive = cutNaively(bytes, needs, LIMIT, moods)
      expect(sink.events).toEqual(naive.events)
      if (naive.end !== 'refused') expect(frames.isAtBoundary).toBe(naive.end === 'boundary')
    }),
    { numRuns: 400 },
  )
})

test('every byte comes out once and in order even if the table of needs changes between reads', () => {
  const goodStream = fc.array(goodFrame, { maxLength: 12 }).map((frames) => Buffer.concat(frames))
  fc.assert(
    fc.property(goodStream, fc.array(someNeeds, { minLength: 2, maxLength: 3 }), someSizes, (bytes, tables, sizes) => {
      const frames = new Frames(LIMIT)
      const out: Buffer[] = []
      const keep = (buffer: Buffer, start: number, end: number) => out.push(Buffer.from(buffer.subarray(start, end)))
      let shows = 0
      let needs = tables[0] as Int32Array
      const sink: FrameSink = {
        pass: keep,
        frame(type, buffer, start, end, length) {
          expect(end - start).toBeGreaterThanOrEqual(Math.min(needs[type] as number, length))
          // Now and then more is demanded, so that a demand is open while the table changes.
          if (shows++ % 3 === 0 && end - start < length) {
            frames.demand(end - start + 4)
            return false
          }
          keep(buffer, start, end)
          return true
        },
        rest: (_type, buffer, start, end) => keep(buffer, start, end),
        refuse: () => expect.unreachable(),
      }
      for (const [index, piece] of cutInSizes(bytes, sizes).entries()) {
        needs = tables[index % tables.length] as Int32Array
        readShared(piece, (buffer, start, end) => frames.read(buffer, start, end, needs, sink))
      }
      expect(Buffer.concat(out)).toEqual(bytes)
      expect(frames.isAtBoundary).toBe(true)
    }),
    { numRuns: 300 },
  )
})

/** One frame of each kind: empty, passing, seen in part, seen whole. */
const CONVERSATION = Buffer.concat([
  rawFrame(0x61, Buffer.alloc(0)),
  rawFrame(0x62, Buffer.from('a prefix and the rest')),
  rawFrame(0x61, Buffer.from('passes')),
  rawFrame(0x63, Buffer.from('seen whole')),
  rawFrame(0x63, Buffer.alloc(0)),
  rawFrame(0x61, Buffer.from('passes too')),
])
const NEEDS = needsTable({ a: PASSES, b: HEADER_BYTES + 8, c: WHOLE })

for (const pieces of everySplit(CONVERSATION))
  test(`a conversation survives the cut ${showSplit(pieces)}`, () => {
    const frames = new Frames(LIMIT)
    const sink = new Recorder(frames, NEEDS)
    feed(frames, pieces, NEEDS, sink)
    expect(sink.events).toEqual([
      { passed: 'a\0\0\0\x04' },
      { frame: 0x62, length: 26, bytes: 'b\0\0\0\x19a prefix and the rest' },
      { passed: 'a\0\0\0\x0apasses' },
      { frame: 0x63, length: 15, bytes: 'c\0\0\0\x0eseen whole' },
      { frame: 0x63, length: 5, bytes: 'c\0\0\0\x04' },
      { passed: 'a\0\0\0\x0epasses too' },
    ])
    expect(frames.isAtBoundary).toBe(true)
  })

for (const pieces of everySplit(CONVERSATION))
  test(`a sink that declines each frame twice survives the cut ${showSplit(pieces)}`, () => {
    const moods = Array<Mood>(3).fill({ demands: [7, WHOLE], refusals: 2 })
    const frames = new Frames(LIMIT)
    const sink = new Recorder(frames, NEEDS, moods)
    feed(frames, pieces, NEEDS, sink)
    expect(sink.events).toEqual(cutNaively(CONVERSATION, NEEDS, LIMIT).events)
    expect(frames.isAtBoundary).toBe(true)
  })

test('consecutive passing frames are passed on as one span without a copy, including an incomplete frame at the end', () => {
  const bytes = Buffer.concat([
    ...Array.from({ length: 5 }, () => rawFrame(0x61, Buffer.from('body'))),
    rawFrame(0x61, Buffer.alloc(50)),
  ])
  const spans: [Buffer, number, number][] = []
  const sink = {
    ...silent(),
    pass: (buffer: Buffer, start: number, end: number) => void spans.push([buffer, start, end]),
  }
  const frames = new Frames(LIMIT)
  expect(frames.read(bytes, 0, 60, NEEDS, sink)).toBe(60)
  expect(spans).toEqual([[bytes, 0, 60]])
  expect(spans[0]?.[0]).toBe(bytes)
  expect(frames.isMidFrame).toBe(true)
})

test('a frame that is complete in the chunk is shown there without a copy, and no bytes after it', () => {
  const bytes = Buffer.concat([rawFrame(0x62, Buffer.alloc(30)), rawFrame(0x61, Buffer.alloc(0))])
  const frame = vi.fn(() => true)
  expect(new Frames(LIMIT).read(bytes, 0, bytes.length, NEEDS, { ...silent(), frame })).toBe(bytes.length)
  expect(frame.mock.calls).toEqual([[0x62, bytes, 0, 35, 35]])
})

test('reading stops before a frame that the sink declines, and the next read shows that frame again', () => {
  const bytes = Buffer.concat([rawFrame(0x61, Buffer.from('x')), rawFrame(0x63, Buffer.from('whole'))])
  const frame = vi.fn<FrameSink['frame']>(() => false)
  const frames = new Frames(LIMIT)
  expect(frames.read(bytes, 0, bytes.length, NEEDS, { ...silent(), frame })).toBe(6)
  expect(frames.read(bytes, 6, bytes.length, NEEDS, { ...silent(), frame })).toBe(6)
  expect(frames.isAtBoundary).toBe(true)
  frame.mockReturnValue(true)
  expect(frames.read(bytes, 6, bytes.length, NEEDS, { ...silent(), frame })).toBe(bytes.length)
  expect(frame).toHaveBeenCalledTimes(3)
})

test('when the sink declines a stashed frame, the frame’s last bytes stay with the caller, even if it ends with the chunk', () => {
  const bytes = rawFrame(0x63, Buffer.from('whole'))
  for (let cut = 1; cut < bytes.length; cut++) {
    const frame = vi.fn<FrameSink['frame']>(() => false)
    const frames = new Frames(LIMIT)
    expect(frames.read(bytes, 0, cut, NEEDS, { ...silent(), frame })).toBe(cut)
    expect(frame).not.toHaveBeenCalled()
    expect(frames.read(bytes, cut, bytes.length, NEEDS, { ...silent(), frame })).toBe(cut)
    expect(frames.isAtBoundary).toBe(false)
    frame.mockReturnValue(true)
    expect(frames.read(bytes, cut, bytes.length, NEEDS, { ...silent(), frame })).toBe(bytes.length)
    expect(frame).toHaveBeenCalledTimes(2)
    expect(frames.isAtBoundary).toBe(true)
  }
})

test('a demand for more than the whole frame shows the frame again later, and what follows it is not lost', () => {
  const first = rawFrame(0x62, Buffer.from('all there'))
  const bytes = Buffer.concat([first, rawFrame(0x61, Buffer.from('follows'))])
  for (const pieces of everySplit(bytes)) {
    const frames = new Frames(LIMIT)
    const sink = new Recorder(frames, NEEDS)
    let asked = 0
    const stubborn: FrameSink = {
      pass: (buffer, start, end) => sink.pass(buffer, start, end),
      frame: (type, buffer, start, end, length) => {
        if (asked++ > 3) return sink.frame(type, buffer, start, end, length)
        frames.demand(WHOLE)
        return false
      },
      rest: (...more) => sink.rest(...more),
      refuse: () => expect.unreachable(),
    }
    for (const piece of pieces) {
      let left = piece
      for (let tries = 0; tries < 10; tries++)
        left = left.subarray(
          readShared(left, (buffer, start, end) => frames.read(buffer, start, end, NEEDS, stubborn) - start),
        )
      expect(left).toHaveLength(0)
    }
    expect(sink.events).toEqual([
      { frame: 0x62, length: first.length, bytes: first.toString('latin1') },
      { passed: 'a\0\0\0\x0bfollows' },
    ])
  }
})

for (const stashed of [0, 3])
  test(`a demand counts for one showing, with ${stashed} bytes stashed: a frame that is then declined is shown again without it`, () => {
    const bytes = rawFrame(0x62, Buffer.alloc(60))
    const frames = new Frames(LIMIT)
    const frame = vi.fn<FrameSink['frame']>(() => false)
    frame.mockImplementationOnce(() => {
      frames.demand(25)
      return false
    })
    const sink = { ...silent(), frame }
    frames.read(bytes, 0, stashed, NEEDS, sink)
    expect(frames.read(bytes, stashed, 30, NEEDS, sink)).toBe(stashed)
    const calls = frame.mock.calls.length
    expect(frames.read(bytes, stashed, 20, NEEDS, sink)).toBe(stashed)
    expect(frame).toHaveBeenCalledTimes(calls + 1)
  })

test('the stashed start of a frame passes with the rest if a later table lets the frame pass', () => {
  const bytes = rawFrame(0x62, Buffer.from('0123456789'))
  const frames = new Frames(LIMIT)
  const sink = new Recorder(frames, NEEDS)
  frames.read(bytes, 0, 9, NEEDS, sink)
  frames.read(bytes, 9, bytes.length, needsTable({ b: PASSES }), sink)
  expect(sink.events).toEqual([{ passed: 'b\0\0\0\x0e0123456789' }])
  expect(frames.isAtBoundary).toBe(true)
})

for (const [claimed, why] of [
  [-0x8000_0000, 'length'],
  [-1, 'length'],
  [0, 'length'],
  [3, 'length'],
  [LIMIT, 'too-large'],
  [0x7fff_ffff, 'too-large'],
] as const)
  test(`the length ${claimed} is refused once, after everything before it, wherever the bytes are cut`, () => {
    for (const type of 'abc') {
      const bad = rawFrame(type.charCodeAt(0), Buffer.from('body'), claimed)
      for (const pieces of everySplit(Buffer.concat([rawFrame(0x61, Buffer.from('fine')), bad]))) {
        const frames = new Frames(LIMIT)
        const sink = new Recorder(frames, NEEDS)
        feed(frames, pieces, NEEDS, sink)
        expect(sink.events).toEqual([
          { passed: 'a\0\0\0\x08fine' },
          { refused: type.charCodeAt(0), length: claimed + 1, why },
        ])
      }
    }
  })

test('the smallest length and the length limit are accepted', () => {
  for (const type of 'abc')
    for (const body of [0, LIMIT - HEADER_BYTES]) {
      const bytes = rawFrame(type.charCodeAt(0), Buffer.alloc(body))
      for (const pieces of everySplit(bytes)) {
        const frames = new Frames(LIMIT)
        const sink = new Recorder(frames, NEEDS)
        feed(frames, pieces, NEEDS, sink)
        expect(sink.events).toEqual(cutNaively(bytes, NEEDS, LIMIT).events)
        expect(sink.isRefused).toBe(false)
      }
    }
})

test('a type that is in no table is refused as unknown, whatever its length', () => {
  for (const claimed of [-1, 4, 8, 0x7fff_ffff])
    for (const pieces of everySplit(rawFrame(0x7a, Buffer.alloc(4), claimed))) {
      const frames = new Frames(LIMIT)
      const sink = new Recorder(frames, NEEDS)
      feed(frames, pieces, NEEDS, sink)
      expect(sink.events).toEqual([{ refused: 0x7a, length: claimed + 1, why: 'unknown' }])
    }
})

test('a table of needs knows only the types that it names', () => {
  const table = needsTable({ Q: WHOLE, d: PASSES, '1': HEADER_BYTES })
  expect(table).toHaveLength(256)
  expect([...table.entries()].filter(([, need]) => need !== UNKNOWN)).toEqual([
    [0x31, HEADER_BYTES],
    [0x51, WHOLE],
    [0x64, PASSES],
  ])
})

test('a header that announces a gigabyte allocates nothing until the bytes arrive', () => {
  const frames = new Frames(0x7fff_ffff)
  const begun = rawFrame(0x63, Buffer.from('only this'), 1 << 30)
  const before = process.memoryUsage().arrayBuffers
  for (const pieces of everySplit(begun))
    for (const piece of pieces) frames.read(piece, 0, piece.length, NEEDS, silent())
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
})

test('the stash never grows much larger than the bytes received, and is not copied over and over', () => {
  const bytes = rawFrame(0x63, Buffer.alloc(100_000))
  const allocations: number[] = []
  const spy = vi.spyOn(Buffer, 'allocUnsafe').mockImplementation((size) => {
    allocations.push(size)
    return Buffer.alloc(size)
  })
  try {
    const frame = vi.fn(() => true)
    const frames = new Frames(bytes.length)
    for (let at = 0; at < bytes.length; at += 10) {
      frames.read(bytes, at, Math.min(at + 10, bytes.length), NEEDS, { ...silent(), frame })
      expect(Math.max(...allocations)).toBeLessThanOrEqual(Math.max(64, 2 * (at + 10)))
    }
    expect(frame).toHaveBeenCalledTimes(1)
    expect(allocations.reduce((sum, size) => sum + size, 0)).toBeLessThan(4 * bytes.length)
    expect(Math.max(...allocations)).toBeLessThanOrEqual(bytes.length)
  } finally {
    spy.mockRestore()
  }
})

test('a frame of which only the start is needed is not stashed beyond that', () => {
  const bytes = rawFrame(0x62, Buffer.alloc(80))
  for (let cut = 1; cut < bytes.length; cut++) {
    const rest = vi.fn()
    const frame = vi.fn<FrameSink['frame']>(() => true)
    const frames = new Frames(LIMIT)
    frames.read(bytes, 0, cut, NEEDS, { ...silent(), frame, rest })
    frames.read(bytes, cut, bytes.length, NEEDS, { ...silent(), frame, rest })
    const [, , start, end] = frame.mock.calls[0] as Parameters<FrameSink['frame']>
    expect(end - start).toBe(Math.max(HEADER_BYTES + 8, cut))
    expect(rest).toHaveBeenCalledTimes(1)
  }
})

/** Takes every frame and does nothing. */
function silent(): FrameSink {
  return { pass: () => {}, frame: () => true, rest: () => {}, refuse: () => expect.unreachable() }
}
