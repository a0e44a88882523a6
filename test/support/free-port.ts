/** A port for a program that has to be told one before it starts, or that leaves it and takes it again. */

import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

/** Ports below are for services. */
const FIRST = 10_000
/** Where the system does not tell which ports it gives away itself: the first of those. */
const USUAL_FIRST_GIVEN = 32_768
const MAX_TRIES = 20

/**
 * Nobody listens there, on whichever address. It is none of those that the system gives to whoever asks for any, or connects: one of
 * these may be somebody else's by the time that the program binds it.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const port = randomInt(FIRST, firstGiven())
    const probe = createServer().listen(port)
    const isFree = await once(probe, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    probe.close()
    await once(probe, 'close')
    return port
  }
  throw new Error(`none of ${MAX_TRIES} ports is free`)
}

/** https://docs.kernel.org/networking/ip-sysctl.html */
function firstGiven(): number {
  try {
    const first = Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10)
    return first > FIRST ? first : USUAL_FIRST_GIVEN
  } catch {
    return USUAL_FIRST_GIVEN
  }
}
