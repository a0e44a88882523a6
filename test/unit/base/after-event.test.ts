import { expect, test } from 'vitest'
import { afterEvent, eventBegins, eventEnds, eventGoesOn, type Follower } from '../../../src/base/after-event.ts'

function follower(told: string[], work: (item: string) => void = () => {}): Follower<string> {
  return {
    onEventOver(item) {
      told.push(`${item} begins`)
      work(item)
      told.push(`${item} ends`)
    },
  }
}

test('followers are called in order when the event is over', () => {
  const told: string[] = []
  const more = follower(told, (item) => {
    if (item === 'one') afterEvent(more, 'what follows from one')
  })
  eventBegins()
  afterEvent(more, 'one')
  afterEvent(more, 'two')
  told.push('the event ends')
  eventEnds()
  expect(told).toEqual([
    'the event ends',
    ...[
      'one begins',
      'one ends',
      'two begins',
      'two ends',
      'what follows from one begins',
      'what follows from one ends',
    ],
  ])
})

test('an event within an event is a part of it', () => {
  const told: string[] = []
  eventBegins()
  eventBegins()
  afterEvent(follower(told), 'one')
  eventEnds()
  told.push('the outer event ends')
  eventEnds()
  expect(told).toEqual(['the outer event ends', 'one begins', 'one ends'])
})

test('followers of a part of an event are called before the next part, except within a nested event', () => {
  const told: string[] = []
  eventBegins()
  afterEvent(follower(told), 'one')
  eventBegins()
  eventGoesOn()
  eventEnds()
  expect(told).toEqual([])
  eventGoesOn()
  expect(told).toEqual(['one begins', 'one ends'])
  eventEnds()
  expect(told).toHaveLength(2)
})

test('outside of events followers are called soon, but not synchronously', async () => {
  const told: string[] = []
  afterEvent(follower(told), 'one')
  expect(told).toEqual([])
  await Promise.resolve()
  expect(told).toEqual(['one begins', 'one ends'])
})

test('outside of events followers are called before the next event, even if that comes before the microtasks', async () => {
  const told: string[] = []
  afterEvent(follower(told), 'one')
  eventBegins()
  told.push('the next event')
  eventEnds()
  await Promise.resolve()
  expect(told).toEqual(['one begins', 'one ends', 'the next event'])
})

test('an exception in a follower does not affect the others', () => {
  const told: string[] = []
  const bad = follower(told, () => {
    throw new Error('a mistake')
  })
  eventBegins()
  afterEvent(bad, 'bad')
  afterEvent(follower(told), 'good')
  expect(eventEnds).toThrow('a mistake')
  eventBegins()
  afterEvent(follower(told), 'next')
  eventEnds()
  expect(told).toEqual(['bad begins', 'good begins', 'good ends', 'next begins', 'next ends'])
})
