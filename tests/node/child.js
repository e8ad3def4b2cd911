'use strict'
// The child of the tests in JavaScript. TS_EVENT_BUS names the package to use, LATE_MS how long it waits before it
// registers its handlers, ASK_FIRST makes it wait for an answer of the master's before that, IGNORE names a slot that it
// ignores.

const { createEventBus, slot, GenericChannel } = require(process.env.TS_EVENT_BUS)

class ParentChannel extends GenericChannel {
  constructor() {
    super(5000)
    process.on('message', (message) => this._messageReceived(message))
    process.on('disconnect', () => this._disconnected())
    this._connected()
  }

  send(message) {
    // The callback keeps a master that has gone from being an error here: 'disconnect' tells.
    if (process.connected) process.send(message, () => {})
  }
}

const echoes = [
  'echo_string', 'echo_integer', 'echo_number', 'echo_bool', 'echo_list', 'echo_map', 'echo_optional', 'echo_order',
]
const runs = ['run', 'run_for_integer', 'run_for_optional', 'run_for_nothing']
const others = ['echo_bytes', 'nothing', 'fail', 'by_param', 'late', 'pid', 'ask_master', 'progress']
const events = Object.fromEntries([...echoes, ...runs, ...others].map((name) => [name, slot()]))
const ignoredEvents = process.env.IGNORE ? [process.env.IGNORE] : undefined
const bus = createEventBus({ events, channels: [new ParentChannel()], ignoredEvents })
const off = {} // what removes each handler

const register = () => {
  for (const name of echoes) off[name] = bus[name].on((x) => x)
  for (const name of runs)
    bus[name].on((code) => new Function('bus', 'off', 'require', code)(bus, off, require))
  bus.echo_bytes.on((numbers) => Buffer.from(numbers))
  bus.nothing.on((data) => {
    if (data !== undefined) throw new Error(`data came: ${JSON.stringify(data)}`)
  })
  bus.fail.on((text) => {
    throw new Error(text)
  })
  bus.by_param.on('a', (x) => `a ${x}`)
  bus.by_param.on('b', (x) => `b ${x}`)
  bus.pid.on(() => process.pid)
}

if (process.env.LATE_MS) setTimeout(register, Number(process.env.LATE_MS))
else if (process.env.ASK_FIRST) bus.ask_master('first').then(register)
else register()
