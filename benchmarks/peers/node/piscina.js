'use strict'
// Piscina, a pool of worker threads: node piscina.js MESSAGE_BYTES IN_FLIGHT THREADS

const path = require('node:path')
const { Piscina } = require('piscina')
const { serve } = require('./commands')

const [bytes, in_flight, threads] = process.argv.slice(2).map(Number)
const text = 'x'.repeat(bytes)
const pool = new Piscina({
  filename: path.join(__dirname, 'worker.js'),
  minThreads: threads,
  maxThreads: threads,
  concurrentTasksPerWorker: in_flight,
})

serve({ echo: () => pool.run(text, { name: 'echo' }), spin: (us) => pool.run(us, { name: 'spin' }) })
