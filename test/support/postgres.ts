/** Creates databases and roles for e2e files on the PostgreSQL of the run, and drops them at the end of each file. */

import { createHash, randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import { onFileEnd } from './file-end.ts'
import { METHOD_PREFIXES } from './global-setup.ts'

export interface TestRole {
  readonly user: string
  readonly password: string
}

export interface TestDatabase extends TestRole {
  readonly host: string
  readonly port: number
  readonly database: string
  /** Connects directly to the server, as the database's owner. */
  readonly url: string
}

export interface RoleOptions {
  /** The method with which the role logs in to the server. */
  readonly method?: 'scram-sha-256' | keyof typeof METHOD_PREFIXES
  readonly password?: string
  /** More options for CREATE ROLE, such as `connection limit 1 in role app`. */
  readonly attributes?: string
}

const clients: pg.Client[] = []
const databases: string[] = []
const roles: string[] = []
let shared: Promise<pg.Client> | null = null

onFileEnd(async () => {
  shared = null
  for (const client of clients.splice(0)) await client.end()
  if (databases.length + roles.length === 0) return
  const admin = await connectAsAdmin('postgres')
  for (const database of databases.splice(0)) await admin.query(`drop database ${database} with (force)`)
  // Roles are dropped last, since they own databases and have privileges in them.
  for (const role of roles.splice(0)) await admin.query(`drop role ${role}`)
  await admin.end()
})

/** Connects a client to the server itself, as its superuser. It is closed at the end of the file. */
export async function adminClient(database = 'postgres'): Promise<pg.Client> {
  const client = await connectAsAdmin(database)
  clients.push(client)
  return client
}

/** Creates a role with a random name whose prefix shows its method: `md5_…`, `plain_…`, `trust_…`. */
export async function createRole(options: RoleOptions = {}): Promise<TestRole> {
  const { method = 'scram-sha-256', password = randomName('secret'), attributes = '' } = options
  const admin = await sharedAdmin()
  const prefix = method === 'scram-sha-256' ? null : METHOD_PREFIXES[method]
  const user = randomName(prefix ?? 'role_')
  // The server would store a plain password as a SCRAM secret, and then ask for SCRAM even with the method md5.
  const secret = method === 'md5' ? `md5${createHash('md5').update(`${password}${user}`).digest('hex')}` : password
  await admin.query(`create role ${user} login password ${admin.escapeLiteral(secret)} ${attributes}`)
  roles.push(user)
  if (prefix) await admin.query(`grant ${prefix}roles to ${user}`)
  return { user, password }
}

/** Creates a new database with its own owner. */
export async function createDatabase(options: RoleOptions = {}): Promise<TestDatabase> {
  const { host, port } = inject('postgres')
  const { user, password } = await createRole(options)
  const admin = await sharedAdmin()
  const database = randomName('test_')
  await admin.query(`create database ${database} owner ${user}`)
  databases.push(database)
  return {
    host,
    port,
    database,
    user,
    password,
    url: `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`,
  }
}

function sharedAdmin(): Promise<pg.Client> {
  shared ??= adminClient()
  return shared
}

async function connectAsAdmin(database: string): Promise<pg.Client> {
  const { host, port, user, password } = inject('postgres')
  const client = new pg.Client({ host, port, user, password, database })
  await client.connect()
  return client
}

function randomName(prefix: string): string {
  return `${prefix}${randomBytes(6).toString('hex')}`
}
