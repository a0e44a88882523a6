/**
 * Hot path: waits for sockets and for libuv in one place, and calls each socket with its events. There is one poller for each thread.
 *
 * The poller's epoll watches libuv's own epoll descriptor like a socket. As long as there are sockets, `#turn` always runs next after the
 * event loop has done all its other work, and blocks until a socket or libuv has something to do. Timers are on time because `#turn` blocks
 * no longer than libuv would. It returns to libuv when libuv has something to do or a timer is due. Otherwise it looks at the sockets again
 * and again, because a way through libuv costs more than a look.
 *
 * If a look brings several events, what is written meanwhile is sent after the last of them: see `GatheredWrites`. With io_uring, what has
 * arrived is received for all sockets by one system call, before the first of them gets its event: see `Ring`.
 */

import { eventBegins, eventEnds } from '../../base/after-event.ts'
import { startTime, stopTime } from '../../base/clock.ts'
import { invariant } from '../../base/invariant.ts'
import { MAX_TIMER_MS } from '../../base/timers.ts'
import { GatheredWrites, NOT_MADE, type Sender } from '../gathered-writes.ts'
import { RECEIVED_BYTES, type Ring } from './ring.ts'
import { EINTR, EPOLLIN, MAX_EVENTS, type SystemCalls, systemError } from './syscalls.ts'

export interface Pollable {
  readonly descriptor: number
  /**
   * Called with the epoll events that have occurred. Unless the socket is watched edge-triggered, an event that is not handled now is
   * reported again.
   */
  onEvents(events: number): void
  /** Whether the socket would do nothing with these events but read, so that its bytes may be received before its turn. Absent: never. */
  mayReceive?(events: number): boolean
  /**
   * Called instead of `onEvents` if `mayReceive` has returned true. The bytes that were received begin at `start`; `result` is their
   * number, at most `RECEIVED_BYTES`, 0 at the end, or a negative errno. The events of other sockets have come in between.
   */
  onReceived?(result: number, buffer: Buffer, start: number): void
}

/**
 * After this many looks, libuv gets its turn in any case: there is work that it does not report as ready, such as work that does not keep
 * the process alive.
 */
const MAX_LOOKS_PER_TURN = 64

/**
 * After this many consecutive looks that found nothing although libuv would not wait, each look waits 1 ms. Whatever the reason is, an idle
 * process must not spin.
 */
const MAX_VAIN_LOOKS = 100

// Captured here, because tests replace the globals.
const { setImmediate, clearImmediate, setInterval, clearInterval } = globalThis

type Drain = () => void

/**
 * What Node does after each callback of its own: runs the work that `process.nextTick` and promises have queued. Node keeps the function
 * "to emulate a tick manually" (Node's source). The poller calls it once after all sockets of a look, because entering V8's queue finds
 * nothing most of the time and costs more than handling many an event does. Work that must be done before the next event uses `afterEvent`.
 * If the function is missing, the poller returns to Node after each look, which has the same effect.
 */
const drain = (process as unknown as { _tickCallback?: Drain })._tickCallback ?? null

export class Poller {
  readonly calls: SystemCalls
  /** The number of waits so far. Listeners use it to recognize consecutive looks, and tests to see that nothing spins. */
  looks = 0
  /** From how many events in one look on writes are gathered, and the ring is used. With fewer, that costs more than it saves. */
  gatherFrom = 2
  /** That of the current look. Null if each socket receives and sends by itself. */
  #ring: Ring | null = null
  #nextRing: Ring | null = null
  readonly #gatheredWithoutRing = new GatheredWrites(null)
  #gathered = this.#gatheredWithoutRing
  readonly #epoll: number
  readonly #loopDescriptor: number
  /** Indexed by descriptor. */
  readonly #pollables: (Pollable | null)[] = []
  /**
   * Indexed by descriptor. Only an event with this number is for the socket that has the descriptor now; others are for a socket that had
   * it before.
   */
  readonly #generations: number[] = []
  #lastGeneration = 0
  #count = 0
  #vainLooks = 0
  /** The number of events that the last look brought, and the index of the next one to report. */
  #arrived = 0
  #next = 0
  /** Whether the sockets' bytes have been received before their turns. */
  #isReceived = false
  /** If so, for each event the place of its bytes in the ring, or -1 if they were not received. */
  readonly #places = new Int32Array(MAX_EVENTS)
  #isGathering = false
  #isAwake = false
  #alive: NodeJS.Timeout | null = null

  constructor(calls: SystemCalls) {
    this.calls = calls
    this.#epoll = calls.createEpoll()
    this.#loopDescriptor = calls.loopDescriptor()
    calls.watch(this.#epoll, this.#loopDescriptor, EPOLLIN, 0)
  }

  /** The number of sockets, watched or not. */
  get count(): number {
    return this.#count
  }

  /** Has sockets receive and send by a ring from the next look on; null: each by itself. */
  useRing(ring: Ring | null): void {
    this.#nextRing = ring
  }

  /**
   * Adds a socket, which keeps the process alive. `interest` is a set of epoll events; with 0 the socket is not watched yet. Throws,
   * without having added the socket, if the system cannot watch any more.
   */
  add(pollable: Pollable, interest: number): void {
    const { descriptor } = pollable
    while (this.#pollables.length <= descriptor) {
      this.#pollables.push(null)
      this.#generations.push(0)
    }
    invariant(this.#pollables[descriptor] === null, `descriptor ${descriptor} is watched already`)
    this.#generations[descriptor] = this.#nextGeneration()
    if (interest !== 0) this.calls.watch(this.#epoll, descriptor, interest, this.#lastGeneration)
    this.#pollables[descriptor] = pollable
    this.#count++
    this.#wake()
  }

  /** Watches for `interest` from now on, which may be the same as before. Either way epoll reports the socket's present state again. */
  change(descriptor: number, interest: number): void {
    this.calls.rewatch(this.#epoll, descriptor, interest, this.#generations[descriptor] as number)
  }

  /** Begins to watch a socket that was added with interest 0, or that is not watched any more. Throws if the system cannot watch any more sockets. */
  watch(descriptor: number, interest: number): void {
    this.calls.watch(this.#epoll, descriptor, interest, this.#generations[descriptor] as number)
  }

  /** Stops watching. An interest of 0 would not do: epoll reports errors and hang-ups nevertheless. */
  unwatch(descriptor: number): void {
    this.calls.unwatch(this.#epoll, descriptor)
  }

  /** Gives a socket to another owner, such as when a dial becomes a channel. */
  replace(pollable: Pollable, interest: number): void {
    const { descriptor } = pollable
    this.#pollables[descriptor] = pollable
    this.#generations[descriptor] = this.#nextGeneration()
    this.calls.rewatch(this.#epoll, descriptor, interest, this.#lastGeneration)
  }

  /** Closes the socket. With it, the kernel stops watching, unless another descriptor refers to the same socket: then it must be unwatched first. */
  close(descriptor: number): void {
    invariant(this.#pollables[descriptor] !== null, `descriptor ${descriptor} is closed twice`)
    this.#pollables[descriptor] = null
    this.calls.close(descriptor)
    this.#count--
    if (this.#count === 0) this.#sleep()
  }

  /**
   * Takes over bytes to be sent at the end of the current look. Returns false if there is nothing to gain, or they are too many: then the
   * caller sends them itself, after `sendGathered` if it has gathered bytes before.
   */
  gather(sender: Sender, buffer: Buffer, start: number, end: number): boolean {
    return this.#isGathering && this.#gathered.add(sender, buffer, start, end)
  }

  /** Sends at once what was gathered, for all sockets. */
  sendGathered(): void {
    this.#gathered.send()
  }

  /** Whether bytes were received for this socket that it has not been given yet. */
  hasReceived(descriptor: number): boolean {
    if (!this.#isReceived) return false
    for (let index = this.#next; index < this.#arrived; index++)
      if (this.calls.eventDescriptorAt(index) === descriptor) return this.#places[index] !== -1
    return false
  }

  #nextGeneration(): number {
    this.#lastGeneration = (this.#lastGeneration + 1) | 0
    return this.#lastGeneration
  }

  #wake(): void {
    if (this.#isAwake) return
    this.#isAwake = true
    // libuv says how long it would wait only while something keeps the loop alive.
    this.#alive = setInterval(nothing, MAX_TIMER_MS)
    setImmediate(this.#turn)
  }

  #sleep(): void {
    if (this.#alive) clearInterval(this.#alive)
    this.#alive = null
  }

  readonly #turn = (): void => {
    // While immediates run, Node keeps libuv from waiting, so that `loopTimeoutMs` would be 0. Clearing the last pending immediate ends
    // that. If others are pending it does not, and 0 is right.
    clearImmediate(setImmediate(nothing))
    try {
      for (let looks = 0; looks < MAX_LOOKS_PER_TURN && this.#count > 0; looks++) if (!this.#look()) break
    } finally {
      // Scheduled only after the looks: a pending immediate keeps libuv from waiting.
      if (this.#count > 0) {
        this.#alive ??= setInterval(nothing, MAX_TIMER_MS)
        setImmediate(this.#turn)
      } else this.#isAwake = false
    }
  }

  /** Returns whether another look may follow at once. */
  #look(): boolean {
    let isLoopReady = this.#next === this.#arrived && this.#wait()
    let hasTold = false
    stopTime()
    try {
      this.#isGathering = this.#arrived >= this.gatherFrom
      if (this.#ring !== null && this.#isGathering) this.#receive(this.#ring)
      // Edge-triggered events are not reported again. So if a listener throws, the remaining events stay for the next look.
      while (this.#next < this.#arrived) {
        const index = this.#next++
        if (this.calls.eventDescriptorAt(index) === this.#loopDescriptor) isLoopReady = true
        else if (this.#tell(index)) hasTold = true
      }
    } finally {
      this.#isGathering = false
      startTime()
      this.#gathered.send()
    }
    if (hasTold) drain?.()
    return !isLoopReady && drain !== null
  }

  /** Receives for all sockets that would do nothing else with their events. */
  #receive(ring: Ring): void {
    // An exception has left some of the events over.
    if (this.#isReceived) return
    this.#isReceived = true
    let count = 0
    for (let index = 0; index < this.#arrived; index++) {
      const pollable = this.#pollableAt(index)
      const isReceived = pollable?.mayReceive?.(this.calls.eventsAt(index)) ?? false
      if (isReceived) count++
      this.#places[index] = isReceived && pollable ? ring.addReceive(pollable.descriptor) : -1
    }
    if (count > 0) ring.receive()
  }

  /** Returns the socket of an event; null if it does not exist any more. */
  #pollableAt(index: number): Pollable | null {
    const descriptor = this.calls.eventDescriptorAt(index)
    const pollable = this.#pollables[descriptor]
    return pollable && this.#generations[descriptor] === this.calls.eventGenerationAt(index) ? pollable : null
  }

  /** Returns whether the event's socket still exists. */
  #tell(index: number): boolean {
    const pollable = this.#pollableAt(index)
    if (pollable === null) return false
    const place = this.#isReceived ? (this.#places[index] as number) : -1
    const result = place < 0 ? NOT_MADE : (this.#ring as Ring).resultAt(place)
    eventBegins()
    try {
      if (result === NOT_MADE) pollable.onEvents(this.calls.eventsAt(index))
      else pollable.onReceived?.(result, (this.#ring as Ring).received, place * RECEIVED_BYTES)
    } finally {
      eventEnds()
    }
    return true
  }

  /** Returns whether libuv has something to do, whatever else has arrived. */
  #wait(): boolean {
    const { calls } = this
    const loopTimeoutMs = calls.loopTimeoutMs()
    this.#ring = this.#nextRing
    this.#gathered = this.#ring === null ? this.#gatheredWithoutRing : this.#ring.gathered
    const timeoutMs = loopTimeoutMs === 0 && this.#vainLooks > MAX_VAIN_LOOKS ? 1 : loopTimeoutMs
    this.looks++
    const events = calls.wait(this.#epoll, timeoutMs, MAX_EVENTS)
    this.#vainLooks = events === 0 && loopTimeoutMs === 0 ? this.#vainLooks + 1 : 0
    // EINTR: a signal arrived. Its handler has notified libuv, which runs right away.
    if (events < 0 && events !== EINTR) throw systemError('epoll_wait', events)
    this.#next = 0
    this.#isReceived = false
    this.#arrived = Math.max(0, events)
    return events <= 0 || loopTimeoutMs === 0
  }
}

function nothing(): void {}
