/** Clients whose worker process is known. */

import type { Client, ClientConfig } from 'pg'
import { workerIn } from '../../../src/wire/cancel-key.ts'
import { keyOf } from './keys.ts'
import type { Pgweir } from './pgweir.ts'

/** The number of the worker that serves a client. */
export function workerOf(client: Client): number {
  return workerIn(keyOf(client).pid)
}

/** Connects clients until each of these workers serves `count` of them, and returns these by worker. */
export async function clientsOf(
  pgweir: Pgweir,
  workers: readonly number[],
  count: number,
  config: ClientConfig = {},
): Promise<Map<number, Client[]>> {
  const found = new Map<number, Client[]>(workers.map((worker) => [worker, []]))
  // Surplus clients stay connected until the end, because the next client goes to the worker with the fewest.
  const others: Client[] = []
  while ([...found.values()].some(({ length }) => length < count)) {
    const client = await pgweir.client(config)
    const clients = found.get(workerOf(client))
    if (clients && clients.length < count) clients.push(client)
    else others.push(client)
  }
  await Promise.all(others.map((client) => client.end()))
  return found
}

export async function onePerWorker(
  pgweir: Pgweir,
  workers: readonly number[],
  config: ClientConfig = {},
): Promise<Client[]> {
  return [...(await clientsOf(pgweir, workers, 1, config)).values()].flat()
}
