//! The compile driver: phases, parallel loop, linking.
