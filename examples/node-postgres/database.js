// The application's only pool.
import pg from 'pg'

export const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  // As many as this process can use at once: these connections are clients of pgweir, and cost PostgreSQL nothing.
  max: 60,
  // Give session settings here, not with SET: pgweir applies them to each server that works for this client.
  application_name: 'tickets',
  statement_timeout: 30_000,
  options: '-c lock_timeout=20s',
})

// An idle connection has broken; the pool replaces it.
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
