export { createPins, type PinSet } from './pins.ts'
