// Sixty people want two seats each, all at once, and there are a hundred seats.
import { prisma } from './database.ts'

const SEATS = 100
const BUYERS = 60

const event = await prisma.event.create({ data: { name: 'Gala', seatsLeft: SEATS } })

function buy(buyer: string): Promise<boolean> {
  // This is one transaction, so all of it runs on one server.
  return prisma.$transaction(async (transaction) => {
    const { count } = await transaction.event.updateMany({
      where: { id: event.id, seatsLeft: { gte: 2 } },
      data: { seatsLeft: { decrement: 2 } },
    })
    if (count === 0) return false
    await transaction.booking.create({ data: { eventId: event.id, buyer, seats: 2 } })
    return true
  })
}

const outcomes = await Promise.all(Array.from({ length: BUYERS }, (_, i) => buy(`buyer ${i}`)))
const { seatsLeft } = await prisma.event.findUniqueOrThrow({ where: { id: event.id } })
console.log(
  `${outcomes.filter(Boolean).length} of ${BUYERS} buyers have seats, ${seatsLeft} of ${SEATS} seats are left`,
)

const settings = await Promise.all(
  Array.from({ length: BUYERS }, async () => {
    const rows = await prisma.$queryRaw<{ told: string }[]>`
      select concat_ws(', ', current_setting('statement_timeout'), current_setting('lock_timeout')) as told`
    return rows[0]?.told
  }),
)
console.log(`timeouts: ${[...new Set(settings)].join(' or ')}`)
await prisma.$disconnect()
