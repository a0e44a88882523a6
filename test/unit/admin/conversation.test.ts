import { beforeEach, describe, expect, test } from 'vitest'
import { Conversation, MAX_PORTALS, MAX_STATEMENTS } from '../../../src/admin/conversation.ts'
import { planStatement } from '../../../src/admin/plan.ts'

const PLAN = planStatement('show version')
const WIDE = planStatement('show lists')

let conversation: Conversation

beforeEach(() => {
  conversation = new Conversation()
})

describe('statements', () => {
  test('with a name stay until they are closed, and a second one of the same name is refused', () => {
    conversation.prepare('s', PLAN)
    expect(() => conversation.prepare('s', PLAN)).toThrow('prepared statement "s" already exists')
    expect(conversation.statement('s')).toBe(PLAN)
    conversation.close('statement', 's')
    expect(() => conversation.statement('s')).toThrow('prepared statement "s" does not exist')
    conversation.close('statement', 's')
  })

  test('without a name are replaced by the next one and removed by a simple query', () => {
    conversation.prepare('', PLAN)
    conversation.prepare('', WIDE)
    expect(conversation.statement('')).toBe(WIDE)
    expect(conversation.preparedStatements).toBe(0)
    conversation.forgetUnnamed()
    expect(() => conversation.statement('')).toThrow('does not exist')
  })

  test('are limited in number', () => {
    for (let index = 0; index < MAX_STATEMENTS; index++) conversation.prepare(`s${index}`, PLAN)
    expect(() => conversation.prepare('one more', PLAN)).toThrow('too many prepared statements')
  })
})

describe('portals', () => {
  test('with a name are refused a second time, and without a name replaced', () => {
    conversation.bind('p', PLAN, [])
    expect(() => conversation.bind('p', PLAN, [])).toThrow('portal "p" already exists')
    conversation.bind('', PLAN, [])
    conversation.bind('', WIDE, [])
    expect(conversation.portal('').plan).toBe(WIDE)
  })

  test('end with their batch, or with their transaction', () => {
    conversation.bind('p', PLAN, [])
    conversation.endBatch()
    expect(() => conversation.portal('p')).toThrow('portal "p" does not exist')
    conversation.begin()
    conversation.bind('p', PLAN, [])
    conversation.endBatch()
    expect(conversation.portal('p').plan).toBe(PLAN)
    conversation.end()
    conversation.endBatch()
    expect(() => conversation.portal('p')).toThrow('does not exist')
  })

  test('have one format for all columns, one for each column, or none', () => {
    conversation.bind('none', WIDE, [])
    conversation.bind('one', WIDE, ['binary'])
    conversation.bind('each', WIDE, ['text', 'binary'])
    expect(conversation.portal('none').formats).toEqual(['text', 'text'])
    expect(conversation.portal('one').formats).toEqual(['binary', 'binary'])
    expect(conversation.portal('each').formats).toEqual(['text', 'binary'])
    expect(() => conversation.bind('x', WIDE, ['text', 'text', 'text'])).toThrow('has 3 result formats')
  })

  test('are limited in number, so that a client cannot make pgweir hold thousands of answers', () => {
    for (let index = 0; index < MAX_PORTALS; index++) conversation.bind(`p${index}`, PLAN, [])
    expect(() => conversation.bind('one more', PLAN, [])).toThrow('too many portals')
  })
})
