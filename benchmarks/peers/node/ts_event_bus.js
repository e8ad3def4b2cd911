'use strict'
// ts-event-bus between two Node processes, over the IPC of fork: node ts_event_bus.js MESSAGE_BYTES

const { fork } = require('node:child_process')
const { createEventBus, slot, GenericChannel } = require('ts-event-bus')
const { serve } = require('./commands')

const timeout_ms = 600_000

/** The IPC between parent and child; `far` is the child process, or the own process in the child. */
class IpcChannel extends GenericChannel {
  constructor(far) {
    super(timeout_ms)
    this.far = far
    far.on('message', (message) => this._messageReceived(message))
    far.on('disconnect', () => this._disconnected())
    this._connected()
  }

  send(message) {
    if (this.far.connected) this.far.send(message, () => {})
  }
}

const events = { echo: slot() }

if (process.argv[2] === 'child') {
  const bus = createEventBus({ events, channels: [new IpcChannel(process)] })
  bus.echo.on((text) => text)
  process.on('disconnect', () => process.exit())
} else {
  const child = fork(__filename, ['child'])
  const bus = createEventBus({ events, channels: [new IpcChannel(child)] })
  const text = 'x'.repeat(Number(process.argv[2]))
  serve({ echo: () => bus.echo(text) })
}
