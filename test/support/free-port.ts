/** Finds a free port, for programs that must know their port before they start, or that release it and bind it again. */

import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

/** Lower ports are left to services. */
const FIRST = 10_000
/** The first ephemeral port, if the system does not say which one that is. */
const USUAL_FIRST_GIVEN = 32_768
const MAX_TRIES = 20

/**
 * Returns a port on which nobody listens, on any address. It is not an ephemeral port: the system could give such a port to another program
 * before this one binds it.
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
