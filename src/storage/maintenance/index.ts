export { createMaintenance, type MaintenanceParts } from './maintenance.ts'
