// The one pool of the application.
import pg from 'pg'

export const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  // As many as this process has work for at once: these are clients of pgweir, and cost PostgreSQL nothing.
  max: 60,
  // Settings of the session belong here, not into a SET: pgweir gives them to whichever server does the work.
  application_name: 'tickets',
  statement_timeout: 30_000,
  options: '-c lock_timeout=20s',
})

// A connection that breaks while nobody uses it; the pool replaces it.
pool.on('error', (error) => console.error(error.message))

/** Runs work in a transaction, all of it on one server. */
export async function inTransaction(work) {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const result = await work(client)
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}
