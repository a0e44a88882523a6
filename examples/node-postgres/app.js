// Sixty people want two seats each, all at once, and there are a hundred seats.
import { inTransaction, pool } from './database.js'

const SEATS = 100
const BUYERS = 60

class SoldOut extends Error {}

// Each server parses a named statement once, for all clients of pgweir.
const take = (event, seats) => ({
  name: 'take seats',
  text: 'update events set seats_left = seats_left - $2 where id = $1 and seats_left >= $2',
  values: [event, seats],
})
const book = (event, buyer, seats) => ({
  name: 'book seats',
  text: 'insert into bookings (event_id, buyer, seats) values ($1, $2, $3)',
  values: [event, buyer, seats],
})

await pool.query(`
  create table if not exists events (id serial primary key, name text not null, seats_left int not null);
  create table if not exists bookings (
    id serial primary key, event_id int not null references events, buyer text not null, seats int not null
  )`)
const { rows } = await pool.query('insert into events (name, seats_left) values ($1, $2) returning id', ['Gala', SEATS])
const event = rows[0].id

async function buy(buyer) {
  try {
    await inTransaction(async (client) => {
      const { rowCount } = await client.query(take(event, 2))
      if (rowCount === 0) throw new SoldOut()
      await client.query(book(event, buyer, 2))
    })
    return true
  } catch (error) {
    if (error instanceof SoldOut) return false
    throw error
  }
}

const outcomes = await Promise.all(Array.from({ length: BUYERS }, (_, i) => buy(`buyer ${i}`)))
const [{ left }] = (await pool.query('select seats_left as left from events where id = $1', [event])).rows
console.log(`${outcomes.filter(Boolean).length} of ${BUYERS} buyers have seats, ${left} of ${SEATS} seats are left`)

const settings = await Promise.all(
  Array.from({ length: BUYERS }, () =>
    pool.query(`select concat_ws(', ', current_setting('statement_timeout'), current_setting('lock_timeout')) as told`),
  ),
)
console.log(`timeouts: ${[...new Set(settings.map(({ rows }) => rows[0].told))].join(' or ')}`)
await pool.end()
