/** A worker's process: does what its primary says, until that says stop or goes away itself. */

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

/** How often the primary hears how this process fares. */
const BEAT_MS = 1_000

/** The part of `process` that is used here. */
export interface WorkerSide {
  send(message: unknown, done: (problem: Error | null) => void): void
  send(message: unknown, handle: unknown, options: object, done: (problem: Error | null) => void): void
  on(event: 'message', listener: (message: unknown, handle: unknown) => void): unknown
  on(event: 'disconnect', listener: () => void): unknown
  readonly connected: boolean
}

/** Resolves when the process should end. */
export async function work(side: WorkerSide): Promise<void> {
  const clock = new SystemClock()
  let pooler: Pooler | null = null
  let starting: Promise<Pooler> | null = null
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  /** Takes connections that the primary has accepted. */
  let accept: (channel: Channel) => void = (channel) => channel.destroy()
  let transport: Transport | null = null
  let listeners: readonly Listener[] = []

  const carrier = {
    send(message: unknown) {
      // Without a callback an error ends the process. The primary has just gone then, and `disconnect` comes next.
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
    // These may come while it starts, and are not said again.
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

  /** Connections of clients, as the primary was told last. */
  let load = 0
  const restraint = new Restraint((accepts) => {
    for (const listener of listeners) {
      if (accepts) listener.resume()
      else listener.pause()
    }
  })

  async function started() {
    // Where it fails, this process ends: whoever has asked is told so by that.
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

  /** There is no handle where the connection broke on its way here. */
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
  const primaryGone = () => {
    member.line.hangUp()
    // It can tell nobody any more.
    pooler?.parts.log.error('the primary process has gone: this one ends, and its clients are told so')
    stop()
  }
  side.on('disconnect', primaryGone)
  // While this program was being loaded nobody could hear of it: it would stay for ever, with sockets on which it listens to nobody.
  if (!side.connected) primaryGone()
  const beat = () => {
    const fleet = pooler?.parts.fleet
    if (fleet) member.beat(fleet.beat(), fleet.totals())
  }
  const beats = setInterval(beat, BEAT_MS)
  await ended
  clearInterval(beats)
  beat()
  if (pooler !== null) member.lastWord((pooler as Pooler).parts.fleet.packedAccounts())
}

/** Tells the primary of a server. `begin` follows when that is on its way: from then on it arrives, even if this process dies. */
export function tellConnected(
  side: WorkerSide,
  message: ServerConnected,
  second: SecondHandle | null,
  begin: () => void,
): void {
  // By itself first: where the primary has no descriptor left, a message with a handle does not arrive at all.
  side.send(message, () => {})
  if (second === null) begin()
  else
    side.send(message, second.handle, {}, () => {
      second.close()
      begin()
    })
}

/** Where the primary accepts, there is nothing to close here, and what it gives is to be taken. */
function givenConnections(address: Address): Listener {
  return { address, close: () => {}, finish: finishAtOnce(() => {}), pause: () => false, resume: () => {} }
}
