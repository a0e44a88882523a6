// The application's only Prisma client. It connects through the driver adapter, which contains a Pool of node-postgres.
import { createHash } from 'node:crypto'
import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from './generated/client.ts'

const adapter = new PrismaPg(
  {
    connectionString: process.env['DATABASE_URL'],
    // As many as this process can use at once: these connections are clients of pgweir, and cost PostgreSQL nothing.
    max: 60,
    // Give session settings here, not with SET: pgweir applies them to each server that works for this client.
    application_name: 'tickets',
    statement_timeout: 30_000,
    options: '-c lock_timeout=20s',
  },
  // With a name, each server parses a statement once instead of each time.
  { statementNameGenerator: ({ sql }) => createHash('sha256').update(sql).digest('hex').slice(0, 32) },
)

// maxWait includes the wait for a server: the default of 2 s is short while many transactions begin at once.
export const prisma = new PrismaClient({ adapter, transactionOptions: { maxWait: 60_000, timeout: 60_000 } })
