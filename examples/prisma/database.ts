// The one client of the application. Prisma talks by the driver adapter, and so by a Pool of node-postgres.
import { createHash } from 'node:crypto'
import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from './generated/client.ts'

const adapter = new PrismaPg(
  {
    connectionString: process.env['DATABASE_URL'],
    // As many as this process has work for at once: these are clients of pgweir, and cost PostgreSQL nothing.
    max: 60,
    // Settings of the session belong here, not into a SET: pgweir gives them to whichever server does the work.
    application_name: 'tickets',
    statement_timeout: 30_000,
    options: '-c lock_timeout=20s',
  },
  // With a name a statement is parsed once by each server, and not each time.
  { statementNameGenerator: ({ sql }) => createHash('sha256').update(sql).digest('hex').slice(0, 32) },
)

// Time to begin a transaction is also time to wait for a server: 2 s, as it is otherwise, are few while many come at once.
export const prisma = new PrismaClient({ adapter, transactionOptions: { maxWait: 60_000, timeout: 60_000 } })
