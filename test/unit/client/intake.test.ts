import { expect, test } from 'vitest'
import { BUSY, Intake, type Stage } from '../../../src/client/intake.ts'
import type { Channel } from '../../../src/net/channel.ts'

/** One client, and what its stage has read so far. */
class Client {
  readonly channel = { isOpen: true, pause: () => this.pauses++, resume: () => this.resumes++ } as unknown as Channel
  readonly intake = new Intake(this, BUSY)
  isOpen = true
  pauses = 0
  resumes = 0
  read = ''

  say(text: string): void {
    const buffer = Buffer.from(`--${text}--`)
    this.intake.take(buffer, 2, buffer.length - 2)
    // As after every read, the buffer is reused.
    buffer.fill('?')
  }

  /** @param most number of bytes that the stage reads before the client has to wait again */
  understand(most = Infinity): void {
    this.intake.stage = this.#stage(most)
    this.intake.goOn()
  }

  #stage(most: number): Stage {
    return {
      read: (buffer, start, end) => {
        const stop = Math.min(end, start + most)
        this.read += buffer.toString('latin1', start, stop)
        return stop
      },
    }
  }
}

function crowd(size: number): Client[] {
  return Array.from({ length: size }, () => new Client())
}

test('the bytes that thousands of waiting clients have sent are kept apart, round after round', () => {
  const clients = crowd(3_000)
  for (let round = 0; round < 3; round++) {
    for (const client of clients) client.intake.stage = BUSY
    clients.forEach((client, index) => void client.say(`${round}: the query of ${index}`))
    clients.forEach((client, index) => {
      client.read = ''
      client.understand()
      expect(client.read).toBe(`${round}: the query of ${index}`)
    })
  }
})

test('bytes that arrive in several pieces, small and large, are read as one', () => {
  const [client, other] = crowd(2) as [Client, Client]
  const parts = ['a', 'b'.repeat(500), 'c'.repeat(100), 'd'.repeat(5_000), 'e']
  for (const part of parts) {
    client.say(part)
    other.say('x'.repeat(200))
  }
  client.understand()
  other.understand()
  expect(client.read).toBe(parts.join(''))
  expect(other.read).toBe('x'.repeat(1_000))
})

test('bytes that the stage does not read stay held, and later bytes follow them', () => {
  const [client, other] = crowd(2) as [Client, Client]
  client.say('one two ')
  client.understand(4)
  expect(client.read).toBe('one ')
  other.say('another')
  client.say('three')
  client.understand()
  other.understand()
  expect(client.read).toBe('one two three')
  expect(other.read).toBe('another')
})

test('a client that leaves or fails takes no bytes from those held for others', () => {
  const clients = crowd(2_000)
  clients.forEach((client, index) => void client.say(`the query of ${index}`))
  for (const [index, client] of clients.entries()) {
    if (index % 3 === 0) {
      client.isOpen = false
      client.intake.drop()
      client.intake.goOn()
    } else if (index % 3 === 1) {
      client.intake.stage = {
        read: () => {
          throw new Error('cannot be understood')
        },
      }
      expect(() => client.intake.goOn()).toThrow('cannot be understood')
    }
  }
  const late = crowd(2_000)
  late.forEach((client, index) => void client.say(`the late query of ${index}`))
  clients.forEach((client, index) => {
    client.understand()
    expect(client.read).toBe(index % 3 === 2 ? `the query of ${index}` : '')
  })
  late.forEach((client, index) => {
    client.understand()
    expect(client.read).toBe(`the late query of ${index}`)
  })
})

test('reading from a client pauses while many bytes are held for it, and resumes afterwards', () => {
  const client = new Client()
  client.say('x'.repeat(60_000))
  expect(client.pauses).toBe(0)
  client.say('x'.repeat(10_000))
  expect(client).toMatchObject({ pauses: 1, resumes: 0 })
  client.understand()
  expect(client).toMatchObject({ pauses: 1, resumes: 1 })
  expect(client.read.length).toBe(70_000)
})
