/**
 * Hot path: waits for sockets and for libuv in one place, and tells each socket what has come. One for each thread.
 *
 * libuv's own epoll descriptor is watched by ours like a socket. While there are sockets, `turn` is always the next thing that the
 * event loop does when it has done all else; it blocks until one of the sockets or libuv has something. Timers are honoured because it blocks
 * no longer than libuv would. It goes back to libuv when that has something to do, or a timer is due, and else looks at the sockets
 * again and again: a way through libuv costs more than a look.
 */

import { eventBegins, eventEnds } from '../../base/after-event.ts'
import { startTime, stopTime } from '../../base/clock.ts'
import { invariant } from '../../base/invariant.ts'
import { MAX_TIMER_MS } from '../../base/timers.ts'
import { EINTR, EPOLLIN, MAX_EVENTS, type SystemCalls, systemError } from './syscalls.ts'

export interface Pollable {
  readonly descriptor: number
  /** Called with what has come. Unless it is watched for changes only, what is not taken now is told again. */
  onEvents(events: number): void
}

/** What libuv does not report as ready, as work that does not keep the process alive, is seen to at least after so many looks. */
const MAX_LOOKS_PER_TURN = 64

/** After so many looks in vain at which libuv would not wait, we wait a little: whatever the reason, an idle process must not spin. */
const MAX_VAIN_LOOKS = 100

// Taken now, because tests put others in their place.
const { setImmediate, clearImmediate, setInterval, clearInterval } = globalThis

type Drain = () => void

/**
 * What node does after each callback of its own: runs what `process.nextTick` and promises have in store. It is there "to emulate a
 * tick manually" (node's source). Here it is done behind all sockets of one look: a way into V8's queue, mostly for nothing, costs
 * more than many an event. What must come before the next event is told by `afterEvent`. Where it should be missing, node has its
 * turn after each look, which does the same.
 */
const drain = (process as unknown as { _tickCallback?: Drain })._tickCallback ?? null

export class Poller {
  readonly calls: SystemCalls
  /** How often it has blocked; for tests, which see from it that nothing spins. */
  looks = 0
  readonly #epoll: number
  readonly #loopDescriptor: number
  /** By descriptor. */
  readonly #pollables: (Pollable | null)[] = []
  /** By descriptor: what events must say to be meant for the socket that has the number now, not for one that had it before. */
  readonly #generations: number[] = []
  #lastGeneration = 0
  #count = 0
  #vainLooks = 0
  /** The events that the last look brought: how many, and which is to be told next. */
  #arrived = 0
  #next = 0
  #isAwake = false
  #alive: NodeJS.Timeout | null = null

  constructor(calls: SystemCalls) {
    this.calls = calls
    this.#epoll = calls.createEpoll()
    this.#loopDescriptor = calls.loopDescriptor()
    calls.watch(this.#epoll, this.#loopDescriptor, EPOLLIN, 0)
  }

  /** How many sockets there are. */
  get count(): number {
    return this.#count
  }

  /**
   * From now on the process stays alive for it. `interest` is what it is watched for, in epoll's terms; with 0 it is not watched. Throws
   * where the system watches no more: then it was not added.
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

  /** Watches for something else, or for the same: either way what holds now is told again. */
  change(descriptor: number, interest: number): void {
    this.calls.rewatch(this.#epoll, descriptor, interest, this.#generations[descriptor] as number)
  }

  /** For what was added with 0, or is not watched any more. Throws where the system watches no more. */
  watch(descriptor: number, interest: number): void {
    this.calls.watch(this.#epoll, descriptor, interest, this.#generations[descriptor] as number)
  }

  /** More than no interest: errors and hang-ups would be told all the same. */
  unwatch(descriptor: number): void {
    this.calls.unwatch(this.#epoll, descriptor)
  }

  /** The same socket under another owner: a dial that has become a channel. */
  replace(pollable: Pollable, interest: number): void {
    const { descriptor } = pollable
    this.#pollables[descriptor] = pollable
    this.#generations[descriptor] = this.#nextGeneration()
    this.calls.rewatch(this.#epoll, descriptor, interest, this.#lastGeneration)
  }

  /** Closes the socket. The kernel forgets with it that it was watched, unless others have the same socket: then it must be unwatched first. */
  close(descriptor: number): void {
    invariant(this.#pollables[descriptor] !== null, `descriptor ${descriptor} is closed twice`)
    this.#pollables[descriptor] = null
    this.calls.close(descriptor)
    this.#count--
    if (this.#count === 0) this.#sleep()
  }

  #nextGeneration(): number {
    this.#lastGeneration = (this.#lastGeneration + 1) | 0
    return this.#lastGeneration
  }

  #wake(): void {
    if (this.#isAwake) return
    this.#isAwake = true
    // libuv says how long it would wait only while something keeps it alive.
    this.#alive = setInterval(nothing, MAX_TIMER_MS)
    setImmediate(this.#turn)
  }

  #sleep(): void {
    if (this.#alive) clearInterval(this.#alive)
    this.#alive = null
  }

  readonly #turn = (): void => {
    // While immediates run, node keeps libuv from waiting, so that it would say 0. Clearing the last one that is to come ends that; if there
    // are others it does not, and 0 is right.
    clearImmediate(setImmediate(nothing))
    try {
      for (let looks = 0; looks < MAX_LOOKS_PER_TURN && this.#count > 0; looks++) if (!this.#look()) break
    } finally {
      // Behind the looks: what is to run at once keeps libuv from waiting.
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
      // What is told of changes only would not be told again: if a listener throws, the rest of the events waits for the next look.
      while (this.#next < this.#arrived) {
        const index = this.#next++
        if (this.calls.eventDescriptorAt(index) === this.#loopDescriptor) isLoopReady = true
        else if (this.#tell(index)) hasTold = true
      }
    } finally {
      startTime()
    }
    if (hasTold) drain?.()
    return !isLoopReady && drain !== null
  }

  /** Returns whether there was anybody to tell. */
  #tell(index: number): boolean {
    const { calls } = this
    const descriptor = calls.eventDescriptorAt(index)
    const pollable = this.#pollables[descriptor]
    if (!pollable || this.#generations[descriptor] !== calls.eventGenerationAt(index)) return false
    eventBegins()
    try {
      pollable.onEvents(calls.eventsAt(index))
    } finally {
      eventEnds()
    }
    return true
  }

  /** Returns whether libuv has something to do whatever has arrived. */
  #wait(): boolean {
    const { calls } = this
    const loopTimeoutMs = calls.loopTimeoutMs()
    const timeoutMs = loopTimeoutMs === 0 && this.#vainLooks > MAX_VAIN_LOOKS ? 1 : loopTimeoutMs
    this.looks++
    const events = calls.wait(this.#epoll, timeoutMs, MAX_EVENTS)
    this.#vainLooks = events === 0 && loopTimeoutMs === 0 ? this.#vainLooks + 1 : 0
    // A signal: its handler has told libuv, which is seen to at once.
    if (events < 0 && events !== EINTR) throw systemError('epoll_wait', events)
    this.#next = 0
    this.#arrived = Math.max(0, events)
    return events <= 0 || loopTimeoutMs === 0
  }
}

function nothing(): void {}
