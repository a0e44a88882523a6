/** The main function of a worker process: follows the messages of its primary until the primary says stop or is gone. */

import { SystemClock } from '../base/clock.ts'
import { keepYoungGenerationAsItIs } from '../base/young-generation.ts'
import { type Address, type Channel, finishAtOnce, type Listener, type Transport } from '../net/channel.ts'
import { type SecondHandle, secondHandle } from '../net/kept-connection.ts'
import { socketOf } from '../net/node-transport.ts'
import { takeOver } from '../net/take-over.ts'
import { callOn } from '../workers/control.ts'
import { Member } from '../workers/member.ts'
import type { ServerConnected, StartOrder } from '../workers/messages.ts'
import { Restraint } from '../workers/restraint.ts'
import { FIRST_INHERITED } from '../workers/spawn.ts'
import { maxClients } from './client-limits.ts'
import { isHandedOver, listenShared } from './entrance.ts'
import { keepFiles } from './kept-files.ts'
import { type Pooler, startPooler } from './start.ts'
import type { Told, Work } from './start-fleet.ts'
import { usersFromTexts } from './users.ts'

/** How often the worker reports its load and totals to the primary. */
const BEAT_MS = 1_000

/** The part of `process` that is used here. */
export interface WorkerSide {
  send(message: unknown, done: (problem: Error | null) => void): void
  send(message: unknown, handle: unknown, options: object, done: (problem: Error | null) => void): void
  on(event: 'message', listener: (message: unknown, handle: unknown) => void): unknown
  on(event: 'disconnect', listener: () => void): unknown
  readonly connected: boolean
}

/** Runs the worker. Resolves when the process should exit. */
export async function work(side: WorkerSide): Promise<void> {
  const clock = new SystemClock()
  let pooler: Pooler | null = null
  let starting: Promise<Pooler> | null = null
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  /** Takes a connection that the primary has accepted. */
  let accept: (channel: Channel) => void = (channel) => channel.destroy()
  let transport: Transport | null = null
  let listeners: readonly Listener[] = []

  const carrier = {
    send(message: unknown) {
      // Without a callback, a failed send would end the process. It fails when the primary has just gone; `disconnect` follows.
      if (side.connected) side.send(message, () => {})
      return side.connected
    },
  }
  const member: Member = new Member(carrier, clock, {
    async onStart(order) {
      starting = start(order)
      pooler = await starting
      pooler.stopped.then(end)
      keepYoungGenerationAsItIs()
      return pooler.addresses
    },
    gather: (topic) => parts().fleet.gather(topic),
    endPeriod: () => parts().fleet.endPeriod(),
    onCancel: (key, over) => parts().cancelRoutes.cancelHere(key.pid, Buffer.from(key.secret, 'hex'), over),
    // These messages may arrive while the pooler is still starting, and are not repeated, so they wait for `started`.
    control: async (call) => callOn((await started()).control, call),
    onSettings: async (told) => {
      const { settings, users, files } = told as Told
      const { applier } = await started()
      const content = users && usersFromTexts(users)
      if (settings !== null) applier.takeOver(settings, content, files)
      else if (content !== null) applier.takeOverUsers(content)
    },
    onWelcomed: async (welcomed) => (await started()).databases.welcomedElsewhere(welcomed),
    onSchemaChanged: async (place) => (await started()).databases.schemaChangedElsewhere(place),
    onAccepts: (accepts, heard) => restraint.told(accepts, heard),
    onDrain: (graceMs) => parts().drain(graceMs),
    onStop: stop,
  })

  /** The number of client connections that was last reported to the primary. */
  let load = 0
  const restraint = new Restraint((accepts) => {
    for (const listener of listeners) {
      if (accepts) listener.resume()
      else listener.pause()
    }
  })

  async function started() {
    // If the start fails, never resolve: the process ends, and the primary learns of it that way.
    if (starting !== null) await starting.catch(() => new Promise(() => {}))
    return parts()
  }

  function parts() {
    if (pooler === null) throw new Error('the worker has not started yet')
    return pooler.parts
  }

  function start({ number, standing, welcomed, work: order }: StartOrder): Promise<Pooler> {
    const { settings, users, isQuiet, addresses, sharesSockets, saltKey, keptFiles } = order as Work
    const { general } = settings
    if (keptFiles.size > 0) keepFiles(keptFiles)
    return startPooler(settings, {
      users: usersFromTexts(users),
      isQuiet,
      clock,
      membership: {
        ...{ number, standing, welcomed },
        saltKey: Buffer.from(saltKey, 'base64'),
        admissions: member.admissions((claim) => maxClients(pooler?.parts.settings ?? settings, claim)),
        fleet: member.fleet,
        openPermits: (database, user, holder, minimum) => member.openPermits(database, user, holder, minimum),
        onLoginFailed: (place, done) => member.loginFailed(place, done),
        forwardCancel: (worker, pid, secret, over) => member.forwardCancel(worker, pid, secret, over),
        async listen(itsTransport, keepAlive, onAccepted) {
          transport = itsTransport
          accept = onAccepted
          listeners = sharesSockets
            ? await listenShared(transport, { general, keepAlive, addresses, firstDescriptor: FIRST_INHERITED }, accept)
            : addresses.map(givenConnections)
          return listeners
        },
        onServerConnected(server, permits, begin) {
          const message = member.serverConnected(server, permits)
          if (message === null || !side.connected) begin()
          else tellConnected(side, message, secondHandle(server.channel), begin)
        },
        onServerOpened: (server) => member.serverOpened(server),
        onServerClosed: (server) => member.serverClosed(server),
        onWelcomed: (welcomed) => member.welcomed(welcomed),
        onSchemaChanged: (place, known) => member.schemaChanged(place, known),
        onLoad(connections) {
          if (connections > load) {
            member.tellAccepted(connections)
            restraint.accepted()
          } else member.tellLoad(connections)
          load = connections
        },
      },
    })
  }

  function stop(): void {
    if (pooler === null) end()
    else pooler.stop().then(end)
  }

  /** `handle` is missing if the connection broke on its way here. */
  function take(handle: unknown, listening: Address): void {
    if (!handle) return
    const accepted = socketOf(handle)
    if (transport === null) accepted.destroy()
    else takeOver(transport, accepted, listening, accept)
  }

  side.on('message', (message, handle) => {
    if (isHandedOver(message)) take(handle, message.handedOver)
    else {
      clock.refresh()
      member.line.receive(message)
    }
  })
  let isAlone = false
  const primaryGone = () => {
    if (isAlone) return
    isAlone = true
    member.line.hangUp()
    // This process has to log it, because the primary cannot.
    pooler?.parts.log.error('the primary process is gone; this worker shuts down and disconnects its clients')
    stop()
  }
  side.on('disconnect', primaryGone)
  // The primary may have gone while this program was loading, before anything listened for `disconnect`. Without this check the process
  // would run forever, holding listening sockets from which it accepts nothing.
  if (!side.connected) primaryGone()
  const beat = () => {
    // As long as a handle that was sent is not acknowledged, node does not emit `disconnect`. A primary that is gone acknowledges none.
    if (!side.connected) primaryGone()
    const fleet = pooler?.parts.fleet
    if (fleet) member.beat(fleet.beat(), fleet.totals())
  }
  const beats = setInterval(beat, BEAT_MS)
  await ended
  clearInterval(beats)
  beat()
  if (pooler !== null) member.lastWord((pooler as Pooler).parts.fleet.packedAccounts())
}

/**
 * Tells the primary about a server connection and sends it a second handle of that connection. Calls `begin` once the message is on its way:
 * from then on it arrives even if this process dies.
 */
export function tellConnected(
  side: WorkerSide,
  message: ServerConnected,
  second: SecondHandle | null,
  begin: () => void,
): void {
  // Send the message without the handle first: if the primary has no free descriptor, a message with a handle does not arrive at all.
  side.send(message, () => {})
  if (second === null) begin()
  else
    side.send(message, second.handle, {}, () => {
      second.close()
      begin()
    })
}

/** A listener for an address at which the primary accepts: there is nothing to close or pause in this process. */
function givenConnections(address: Address): Listener {
  return { address, close: () => {}, finish: finishAtOnce(() => {}), pause: () => false, resume: () => {} }
}
