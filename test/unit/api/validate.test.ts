import { Type } from 'typebox'
import { describe, expect, it } from 'vitest'
import { PartValidator } from '../../../src/api/validate.ts'

const Query = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
    offline: Type.Optional(Type.Boolean()),
    kind: Type.Optional(Type.Enum(['recursive', 'direct'], { type: 'string' })),
    name: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
)

describe('a query', () => {
  const query = new PartValidator(Query, 'query')

  it('becomes numbers and booleans where the schema asks for them, and only there', () => {
    expect(query.check({ limit: '5', offline: 'true', name: '5' })).toEqual({
      limit: 5,
      offline: true,
      name: '5',
    })
    expect(query.check({ offline: 'false' })).toEqual({ offline: false })
  })

  it.each(['1e3', ' 1', '0x10', '1.5', '', '-1', '0', '99999999999999999999', 'NaN'])(
    'refuses the number %j',
    (limit) => {
      expect(() => query.check({ limit })).toThrow(expect.objectContaining({ code: 'ERR_REQUEST_INVALID' }))
    },
  )

  it('names what is wrong and what is allowed', () => {
    expect(() => query.check({ kind: 'both' })).toThrow('The query kind must be one of recursive, direct')
    expect(() => query.check({ kindd: 'direct' })).toThrow('additional properties: kindd')
    expect(() => query.check({ limit: ['1', '2'] })).toThrow('The query limit')
  })

  it('is not fooled by names that every object has', () => {
    expect(() => query.check(JSON.parse('{"__proto__":"1"}'))).toThrow('The query')
    expect(() => query.check({ constructor: '1' })).toThrow('The query')
  })
})

it('takes only the headers it knows', () => {
  const headers = new PartValidator(Type.Object({ 'upload-offset': Type.Integer({ minimum: 0 }) }), 'header')
  expect(headers.check({ 'upload-offset': '7', host: 'localhost' })).toEqual({ 'upload-offset': 7 })
  expect(() => headers.check({ host: 'localhost' })).toThrow('upload-offset')
})

it('does not turn texts of a body into numbers', () => {
  const body = new PartValidator(Type.Object({ size: Type.Integer() }), 'body')
  expect(() => body.check({ size: '7' })).toThrow('The body size must be integer')
  expect(() => body.check(undefined)).toThrow('The body')
})
